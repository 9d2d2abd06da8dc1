"""The script that measures the examples: what it writes into a header, without a model."""

from __future__ import annotations

import pytest

import examples

RESULTS = {
    "test": {"accuracy": 0.75, "accuracy_ci95": [0.7, 0.8]},
    "baselines": {"majority": {"accuracy": 0.5}},
}
LINE = (
    "# Measured: accuracy 0.750, 95% interval 0.700 to 0.800, on 120 test texts (majority 0.500)."
)


def test_a_score_is_told_with_its_interval_and_what_it_has_to_beat() -> None:
    assert examples.measured_line(RESULTS, 120) == LINE


@pytest.mark.parametrize(
    "before", ["# Not measured: nobody did.", "# Measured: accuracy 0.1,\n# alas."]
)
def test_a_header_has_one_score_and_the_rest_stays(before: str) -> None:
    text = "# What it is.\n#\n{}\nmodel: tiny  # Measured: no\n"
    assert examples.with_line(text.format(before), LINE) == text.format(LINE)
