"""Numbers as labels: classes, numbers, or asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gathering import bind, bound, picked, table_of


@pytest.mark.parametrize(
    ("cells", "kind", "said"),
    [
        ([1, 2, 3, 4, 5], "single_label", "classes"),
        (["1", "2.0", "3"], "single_label", "classes"),
        (list(range(40)), "single_label", "classes"),
        ([1.0, 1.5, 2.0], "regression", "numbers"),
        ([0, 1], "single_label", None),
        (["1", "2", "x"], "single_label", None),
    ],
)
def test_what_numbers_are_read_as_is_said(
    tmp_path: Path, cells: list[Any], kind: str, said: str | None
) -> None:
    data, problem = bound(table_of(tmp_path / "a.jsonl", cells * 20))
    assert problem.labelling.problem == kind
    assert picked(data).get("classes or numbers") == said


def test_the_key_that_is_told_decides(tmp_path: Path) -> None:
    stars = table_of(tmp_path / "a.jsonl", [1, 2, 3, 4, 5] * 20)
    assert bound(stars, {"problem": "regression"})[1].labelling.problem == "regression"
    halves = table_of(tmp_path / "b.jsonl", [1.0, 1.5, 2.0] * 20)
    data, problem = bound(halves, {"problem": "single_label"})
    assert problem.labels == ("1", "1.5", "2")
    assert picked(data) == {}


def test_many_whole_numbers_with_gaps_are_asked_about_and_the_remedies_work(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", [5 * i for i in range(30)] * 10)
    assert bind(file)[2] == ["a.jsonl:1 task.problem_unclear number=30 least=0.0 greatest=145.0"]
    assert bound(file, {"problem": "regression"})[1].labelling.problem == "regression"
    assert len(bound(file, {"problem": "single_label"})[1].labels) == 30
