import pandas as pd

from bench.report.run import standings


def test_fastest_follow_the_order_of_shapes_and_of_what_is_ranked_together():
    rows = pd.DataFrame(
        [
            # A contender's rows stand together, so that no shape's do; where precision is not known, it is alike.
            (512, "float32", None, "numpy", 2.0, False),
            (64, "float32", None, "numpy", 1.5, True),
            (64, "float64", None, "numpy", 3.0, True),
            (512, "float32", None, "torch", 1.0, True),
            (64, "float32", None, "torch", 1.0, True),
            (64, "float64", None, "torch", 4.0, False),
        ],
        columns=["N", "dtype", "precision", "contender", "seconds", "may_win"],
    )
    assert [*standings.fastest(rows.assign(D_in=1000, H=100, D_out=10, threads=1))] == [
        "fastest at N=512 D_in=1000 H=100: torch",
        "fastest at N=64 D_in=1000 H=100: torch or numpy (a tie: no verdict separates them)",
        "fastest at N=64 D_in=1000 H=100: numpy",
    ]
