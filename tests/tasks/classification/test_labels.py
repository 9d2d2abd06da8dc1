"""Labels: what kind they are, their names and order, and how cells become targets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from faults import full
from welltuned.data.cells import as_key
from welltuned.data.facts import DataFacts
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.tasks.classification.labels import (
    Labels,
    find_labels,
    read_classes,
    read_label_sets,
    read_numbers,
    split_cell,
)


def records(cells: list[Any], source: str = "a.csv") -> Records:
    texts = [f"text {i}" for i in range(len(cells))]
    lines = list(range(2, len(cells) + 2))
    return Records(source, {"text": texts, "label": list(cells)}, lines, ("text",))


def find(
    cells: list[Any], problem: str = "auto", separator: str | None = None, **names: str
) -> tuple[Labels | None, list[str]]:
    faults = Faults()
    part = records(cells)
    data = DataSplits(part, part, part, DataFacts())
    return find_labels(data, problem, separator, names, faults), full(faults)


def found(cells: list[Any], *arguments: Any, **names: str) -> Labels:
    labels, faults = find(cells, *arguments, **names)
    assert faults == []
    assert labels is not None
    return labels


def read(labels: Labels, cells: list[Any]) -> tuple[list[Any], list[str]]:
    faults = Faults()
    readers: dict[str, Callable[[Records, Faults], np.ndarray]] = {
        "single_label": partial(read_classes, labels),
        "multi_label": partial(read_label_sets, labels),
        "regression": read_numbers,
    }
    targets = readers[labels.problem](records(cells), faults)
    return targets.tolist(), full(faults)


@pytest.mark.parametrize(
    ("cell", "key"), [(1, "1"), (1.0, "1"), ("1", "1"), (" 1 ", "1"), (True, "True"), (1.5, "1.5")]
)
def test_a_number_is_one_label_however_it_is_written(cell: Any, key: str) -> None:
    assert as_key(cell) == key


@pytest.mark.parametrize(
    ("cell", "separator", "keys"),
    [
        ("a|b", "|", ["a", "b"]),
        (" a | b ", "|", ["a", "b"]),
        ("a||", "|", ["a"]),
        ("", "|", []),
        (["a", 1.0], None, ["a", "1"]),
        ((), None, []),
        ("a|b", None, ["a|b"]),
    ],
)
def test_a_cell_may_hold_several_labels(cell: Any, separator: str | None, keys: list[str]) -> None:
    assert split_cell(cell, separator) == keys


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["a", "b"], "single_label"),
        ([0, 1], "single_label"),
        (["0", "1.0"], "single_label"),
        ([0.5, 1], "regression"),
        (["0.5", "1"], "regression"),
        ([["a"], ["a", "b"]], "multi_label"),
        (["0.5", "b"], "single_label"),
    ],
)
def test_the_kind_of_problem_is_seen_from_the_labels(cells: list[Any], kind: str) -> None:
    assert found(cells).problem == kind


def test_a_separator_means_several_labels() -> None:
    labels = found(["a+b", "b"], "auto", "+")
    assert (labels.problem, labels.keys) == ("multi_label", ("a", "b"))


@pytest.mark.parametrize("mark", ["|", ";", ","])
def test_the_usual_separators_are_found(mark: str) -> None:
    assert found([f"a{mark}b", "b"], "multi_label").separator == mark


def test_numbers_are_ordered_as_numbers_and_words_as_words() -> None:
    assert found(["10", "9", "-1"]).keys == ("-1", "9", "10")
    assert found(["10", "9", "x"]).keys == ("10", "9", "x")


def test_the_order_of_classes_does_not_follow_the_order_of_rows() -> None:
    assert found(["b", "a", "c"]).keys == found(["c", "b", "a"]).keys == ("a", "b", "c")


def test_labels_get_the_names_asked_for() -> None:
    labels = found([0, 1, 1], **{"0": "bad", "1": "good"})
    assert (labels.keys, labels.names) == (("0", "1"), ("bad", "good"))


@pytest.mark.parametrize(
    ("cells", "names", "told"),
    [
        (["a", "a"], {}, "a.csv:2 task.too_few_classes only=only one class, 'a'"),
        (["a", "b"], {"c": "x"}, "task.label_names_unknown unknown=['c'] labels=a, b"),
        (["a", "b"], {"a": "b"}, "task.label_names_alike"),
        (["a", "A", "A", "b"], {}, "a.csv:2 task.labels_differ_in_case spellings='A' (2), 'a' (1)"),
        (
            [f"text {i}" for i in range(30)],
            {},
            "a.csv:2 task.too_many_classes labels=30 examples=30",
        ),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    cells: list[Any], names: dict[str, str], told: str
) -> None:
    _, faults = find(cells, **names)
    assert faults == [told]


def test_too_many_classes_are_refused_however_often_each_occurs() -> None:
    _, faults = find([f"c{i % 1001}" for i in range(5000)])
    assert faults == ["a.csv:2 task.too_many_classes labels=1001 examples=5000"]
    assert len(found([f"c{i % 1000}" for i in range(5000)]).keys) == 1000


def test_no_label_anywhere_is_refused() -> None:
    _, faults = find(["", ""], "multi_label", "|")
    assert "no label at all" in faults[0]


def test_targets_are_the_numbers_of_the_classes() -> None:
    assert read(found(["b", "a", "c"]), ["c", "a", " b "]) == ([2, 0, 1], [])


def test_targets_may_be_given_by_name() -> None:
    labels = found([0, 1], **{"0": "bad", "1": "good"})
    assert read(labels, ["good", "bad", 1.0, "0"]) == ([1, 0, 1, 0], [])


def test_what_stands_in_the_data_wins_over_names() -> None:
    """Names that are other labels' keys must not turn targets round."""
    labels = found([0, 1], **{"0": "1", "1": "0"})
    assert read(labels, [0, 1]) == ([0, 1], [])


def test_several_labels_are_flags() -> None:
    labels = found(["a|b", "c"], "auto", "|")
    assert read(labels, ["c|a", "", "b"]) == ([[1, 0, 1], [0, 0, 0], [0, 1, 0]], [])


def test_a_label_that_training_does_not_have_is_refused_at_its_line() -> None:
    _, faults = read(found(["a", "b"]), ["a", "c", "b", "d"])
    assert faults == [
        "a.csv:3 task.label_unseen label=c known=a, b",
        "a.csv:5 task.label_unseen label=d known=a, b",
    ]


def test_many_unknown_labels_are_counted() -> None:
    _, faults = read(found(["a", "b"]), ["x"] * 14)
    assert len(faults) == 11
    assert faults[-1] == "a.csv task.label_unseen more=4"


def test_numbers_remember_their_mean_and_deviation() -> None:
    labels = found([1.5, 2.5, 4.5], "regression", score="stars")
    assert labels.names == ("stars",)
    assert labels.mean == pytest.approx(np.mean([1.5, 2.5, 4.5]))
    assert labels.deviation == pytest.approx(np.std([1.5, 2.5, 4.5]))


@pytest.mark.parametrize("cell", ["many", "nan", "inf", None, [1]])
def test_a_target_that_is_no_number_is_refused_at_its_line(cell: Any) -> None:
    labels, faults = find([1.5, cell, 2.5], "regression")
    assert labels is None
    assert faults == [f"a.csv:3 task.target_not_a_number cell={cell}"]


def test_targets_that_are_all_the_same_number_are_refused() -> None:
    _, faults = find([2, 2, 2], "regression")
    assert faults == ["a.csv:2 task.targets_all_equal target=2.0"]


@pytest.mark.parametrize("cells", [["a", "b"], [0.5, 1.5], [["a"], ["b"]]])
def test_labels_survive_being_written_down(cells: list[Any]) -> None:
    labels = found(cells)
    assert Labels.from_dict(labels.to_dict()) == labels
