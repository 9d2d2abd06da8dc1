"""What a cell was made from, as one hash."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.config import run_config_from
from welltuned.experiments.comparison.cache_key import cell_key

BASE: dict[str, Any] = {"model": "m", "data": {"train": "d.jsonl"}, "strategy": "lora"}


def key(contents: str = "abc", **values: Any) -> str:
    return cell_key(run_config_from({**BASE, **values}), contents)


def test_the_same_gives_the_same() -> None:
    assert key() == key()


@pytest.mark.parametrize(
    "values",
    [
        {"output_dir": "elsewhere"},
        {"report": {"language": "zh"}},
        {"training": {"report_to": ["tensorboard"]}},
        {"data": {"train": "moved/d.jsonl", "test": "moved/t.jsonl"}},
    ],
)
def test_where_things_are_does_not_matter(values: dict[str, Any]) -> None:
    assert key(**values) == key()


@pytest.mark.parametrize(
    "values",
    [
        {"strategy": {"type": "lora", "r": 9}},
        {"training": {"seed": 1}},
        {"training": {"learning_rate": 1e-5}},
        {"model": "n"},
        {"task": {"max_length": 64}},
        {"data": {"train": "d.jsonl", "compare_as": "code"}},
        {"data_": "other"},
    ],
)
def test_what_changes_results_does(values: dict[str, Any]) -> None:
    contents = values.pop("data_", "abc")
    assert key(contents, **values) != key()
