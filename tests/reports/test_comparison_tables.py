"""Tables of a comparison: which examples are answered most differently."""

from __future__ import annotations

import pytest

from welltuned.metrics import ClassPredictions
from welltuned.reports.comparison_tables import disputed, per_class
from welltuned.runs.comparison_folder import Comparison


def test_an_example_is_disputed_where_strategies_are_not_equally_often_right(
    compared: Comparison,
) -> None:
    rows = [row for row in compared.results["rows"] if row["kind"] == "strategy"]
    found = disputed(compared, rows, ClassPredictions)
    disputes = [one["dispute"] for one in found]
    assert disputes == sorted(disputes, reverse=True) and len(found) <= 20
    for one in found:
        assert {*one["said"]} == {"head", "lora r=2"} and 0 < one["dispute"] <= 1
    assert not disputed(compared, rows[:1], ClassPredictions), "nobody to differ with"


def test_each_class_is_told_with_how_far_it_is_below_the_best(compared: Comparison) -> None:
    rows = [row for row in compared.results["rows"] if row["kind"] == "strategy"]
    for one in per_class(compared, rows):
        assert one["name"] in ("negative", "positive") and one["support"] > 0
        assert min(cell["below"] for cell in one["cells"]) == pytest.approx(0)
