"""What the doctor says of implementations that cannot even be started."""

import implementations
from bench.measure import doctor, machine


def test_a_file_that_is_no_implementation_is_a_row_and_costs_no_other(monkeypatch):
    def without_class(name):
        raise LookupError(f"{name}: implementations.{name} has no class 'Net'")

    monkeypatch.setattr(implementations, "names", lambda: ["mine"])
    monkeypatch.setattr(implementations, "device_kinds", without_class)
    monkeypatch.setattr(machine, "describe", dict)
    found = doctor.examine()["implementations"]["mine"]
    assert (found["status"], found["reason"]) == ("crashed", "mine: implementations.mine has no class 'Net'")
