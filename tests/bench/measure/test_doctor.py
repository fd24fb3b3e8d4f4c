"""What the doctor reports of implementations that cannot be started."""

import implementations
from bench.measure import doctor, machine


def test_invalid_implementation_file_is_a_row_of_its_own(monkeypatch):
    def without_class(name):
        raise LookupError(f"{name}: implementations.{name} has no class 'Net'")

    monkeypatch.setattr(implementations, "names", lambda: ["mine"])
    monkeypatch.setattr(implementations, "device_kinds", without_class)
    monkeypatch.setattr(machine, "describe", dict)
    row = doctor.examine()["implementations"]["mine"]
    assert (row["status"], row["reason"]) == ("crashed", "mine: implementations.mine has no class 'Net'")
