"""Label columns in one form: lists, flags, parts, columns of flags and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gathering import bind, bound, picked, table_of
from support import tune, write_rows
from welltuned.artifact.predictor import Predictor
from welltuned.data.cells import as_key
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect_file
from welltuned.data.missing_labels import may_be_missing
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.tasks.classification.label_columns import LabelReader
from welltuned.tasks.classification.labels import split_cell
from welltuned.tasks.classification.spellings import fold_spelling

SETS = ["a", "a|b", "", "b", "a|b", "", "b|c", "c"] * 8
FLAGS = [[1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 1, 0]] * 10


def targets(data: Any, problem: Any) -> list[set[str]]:
    flags_NK = problem.codec.read_targets(data.train, Faults())
    pairs = [zip(problem.labels, row_K, strict=True) for row_K in flags_NK]
    return [{name for name, flag in pair if flag} for pair in pairs]


@pytest.mark.parametrize("write", [list, str, lambda flags: str(flags).replace(",", "")])
def test_lists_of_nothing_but_0_and_1_say_which_labels_apply(tmp_path: Path, write: Any) -> None:
    file = table_of(tmp_path / "a.jsonl", [write(flags) for flags in FLAGS], "labels")
    data, problem = bound(file, split={"stratify": False})
    assert problem.labelling.problem == "multi_label"
    assert problem.labels == ("label_0", "label_1", "label_2")
    assert picked(data) == {"several labels": "flags"}
    assert {"label_1", "label_2"} in targets(data, problem) and set() in targets(data, problem)


def test_flags_are_named_in_order_as_asked(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", FLAGS)
    for names in (["x", "y", "z"], "x,y,z", {0: "x", 1: "y", 2: "z"}):
        _, problem = bound(file, {"label_names": names})
        assert problem.labels == ("x", "y", "z")


def test_numbers_of_classes_in_lists_are_no_flags(tmp_path: Path) -> None:
    _, problem = bound(table_of(tmp_path / "a.jsonl", [[0], [0, 1], [1], [0, 2]] * 10))
    assert problem.labels == ("0", "1", "2")


def test_a_row_with_another_number_of_flags_is_refused_at_its_line(tmp_path: Path) -> None:
    _, _, faults = bind(table_of(tmp_path / "a.jsonl", [*FLAGS, [0, 1]]))
    assert faults == ["a.jsonl:41 task.flags_differ_in_number found=2 expected=3"]


@pytest.mark.parametrize(
    "cells",
    [
        ["['good', 'nice']", "['bad']", "[]"],
        ['["good", "nice"]', '["bad"]', "[]"],
        ["('good', 'nice')", "('bad',)", "()"],
        ["['good' 'nice']", "['bad']", "[]"],
        ["{'good', 'nice'}", "{'bad'}", "[]"],
        ["good|nice", "bad|good", ""],
        ["good;nice", "bad", "good"],
        ["good, nice", "bad", "good"],
    ],
)
def test_lists_written_in_cells_are_several_labels(tmp_path: Path, cells: list[str]) -> None:
    data, problem = bound(table_of(tmp_path / "a.jsonl", cells * 20))
    assert (problem.labelling.problem, problem.labels) == ("multi_label", ("bad", "good", "nice"))
    assert {"good", "nice"} in targets(data, problem)
    assert "several labels" in picked(data)


def test_lists_beside_other_labels_are_asked_about_and_the_remedies_work(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["['a']", "b", "['a', 'b']", "b"] * 10)
    _, _, faults = bind(file)
    assert faults == ["a.jsonl:2 task.label_lists_unclear example=['a'] other=b"]
    assert bound(file, {"problem": "multi_label"})[1].labels == ("a", "b")
    assert len(bound(file, {"problem": "single_label"})[1].labels) == 3


def test_parts_that_never_stand_alone_are_asked_about_and_the_remedies_work(tmp_path: Path) -> None:
    towns = ["Lyon, France", "Paris, France", "Rome, Italy", "Milan, Italy"] * 10
    file = table_of(tmp_path / "a.jsonl", towns)
    _, _, faults = bind(file)
    assert faults == ["a.jsonl:1 task.label_separator_unclear example=Lyon, France mark=,"]
    assert len(bound(file, {"label_separator": ","})[1].labels) == 6
    assert len(bound(file, {"problem": "single_label"})[1].labels) == 4


def test_parts_that_occur_nowhere_else_are_one_label(tmp_path: Path) -> None:
    data, problem = bound(table_of(tmp_path / "a.jsonl", ["Business, Finance", "Sports"] * 20))
    assert problem.labels == ("Business, Finance", "Sports")
    assert picked(data) == {"several labels": "one"}


def test_a_text_without_labels_has_none_of_several(tmp_path: Path) -> None:
    data, problem = bound(table_of(tmp_path / "a.jsonl", SETS))
    assert problem.labels == ("a", "b", "c")
    assert set() in targets(data, problem)


def test_other_files_are_read_as_the_training_file_was(tmp_path: Path) -> None:
    train = table_of(tmp_path / "a.jsonl", SETS)
    rows = [{"text": "x", "label": ""}, {"text": "y", "label": "b"}]
    test = write_rows(tmp_path / "b.jsonl", rows)
    data, problem = bound(train, test=test)
    assert problem.codec.read_targets(data.test, Faults()).tolist() == [[0, 0, 0], [0, 1, 0]]


def test_without_a_sign_of_several_labels_a_missing_one_is_refused(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["a", "b", "", "b"] * 10)
    assert "data.cell_missing" in bind(file)[2][0]
    assert bound(file, {"problem": "multi_label"})[1].labels == ("a", "b")


TOXIC = [
    {
        "id": i,
        "comment_text": f"comment {i}",
        "toxic": i % 2,
        "insult": int(i % 3 == 0),
        "threat": 0,
    }
    for i in range(60)
]


def test_a_column_a_label_is_asked_about_and_the_remedy_works(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", TOXIC)
    _, _, (fault,) = bind(file)
    assert fault.startswith("a.jsonl:1 data.flag_columns_unclear role=label plural=labels")
    assert fault.endswith("names=toxic,insult,threat")
    for labels in ("toxic,insult,threat", ["toxic", "insult", "threat"]):
        data, problem = bound(file, columns={"labels": labels})
        assert problem.labels == ("toxic", "insult", "threat")
        assert data.train["text"][0].startswith("comment")
        assert set() in targets(data, problem) and {"toxic", "insult"} in targets(data, problem)


def test_objects_of_flags_are_labels_that_apply(tmp_path: Path) -> None:
    cells = [{"a": 1, "b": 0}, {"a": 0, "b": True}, {"a": 0, "b": 0}] * 10
    data, problem = bound(table_of(tmp_path / "a.jsonl", cells))
    assert problem.labels == ("a", "b") and set() in targets(data, problem)


def test_a_flag_that_is_none_is_refused_at_its_line(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", [*TOXIC, {**TOXIC[0], "threat": "maybe"}])
    _, _, faults = bind(file, columns={"labels": "toxic,insult,threat"})
    assert faults[0] == "a.jsonl:61 task.flag_unreadable column=threat cell='maybe'"


def test_a_column_that_is_not_there_is_named_among_several(tmp_path: Path) -> None:
    _, _, faults = bind(write_rows(tmp_path / "a.jsonl", TOXIC), columns={"labels": "toxic,inslt"})
    assert "data.column_unknown column=inslt" in faults[0]


def test_a_tuned_model_reads_labels_as_it_was_trained_on(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", TOXIC)
    _, problem = bound(file, columns={"labels": "toxic,insult,threat"})
    hot = table_of(tmp_path / "b.jsonl", [[1, 0, 0], "[0, 1, 1]", "threat|toxic", ""])
    for name, expected in ((file, [[0, 1, 0], [1, 0, 0]]), (hot, [[1, 0, 0], [0, 1, 1]])):
        codec, faults = problem.codec, Faults()
        records = collect_file(name, DataConfig(train=name), codec.roles, faults, codec.convert)
        assert list(faults) == [] and records is not None
        assert codec.read_targets(records.take([0, 1]), faults).tolist() == expected


@pytest.mark.parametrize("label", [{"name": "neg"}, ["a", ["b"]]])
def test_labels_that_are_objects_are_refused(tmp_path: Path, label: Any) -> None:
    _, _, faults = bind(table_of(tmp_path / "a.jsonl", [label, "b", "c"] * 10), {"problem": "auto"})
    refusals = "data.cell_is_object", "task.label_is_an_object", "task.label_lists_unclear"
    assert faults and all(any(code in fault for code in refusals) for fault in faults)


def test_a_list_where_one_label_is_asked_for_is_refused(tmp_path: Path) -> None:
    _, _, faults = bind(
        table_of(tmp_path / "a.jsonl", [["a"], ["b"]] * 10), {"problem": "single_label"}
    )
    assert faults[0] == "a.jsonl:1 task.label_is_a_list cell=['a']"


def test_a_whole_run_learns_and_evaluates_columns_of_flags(tiny: Any, tmp_path: Path) -> None:
    """One label never applies; the file is scored as it was learned, without being asked."""
    file = write_rows(tmp_path / "a.jsonl", TOXIC)
    data: Any = {"train": file, "columns": {"labels": ["toxic", "insult", "threat"]}}
    run = tune(tiny("bert"), data, "full", tmp_path / "run", training={"num_train_epochs": 1})
    predictor = Predictor.load(str(run.folder))
    answers = predictor.predict(["comment 1", "comment 2"])
    assert all(set(a["probabilities"]) == {"toxic", "insult", "threat"} for a in answers)
    assert predictor.evaluate(file)["examples"] == len(TOXIC)
    assert len(list(predictor.answer_file(file))) == len(TOXIC)


# --- Numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values", "mark"),
    [
        (["3,0", "4,5", "4", "3,5"], {3.0, 4.5, 4.0, 3.5}, "comma"),
        (["3,5", "4,25"], {3.5, 4.25}, "comma"),
        (["1.250,5", "12,0"], {1250.5, 12.0}, "comma"),
        (["1,250.5", "12"], {1250.5, 12.0}, "point"),
        (["1,250,000.5", "1 250.25"], {1250000.5, 1250.25}, "point"),
    ],
)
def test_commas_in_numbers_are_read(
    tmp_path: Path, cells: list[str], values: set[float], mark: str
) -> None:
    data, problem = bound(table_of(tmp_path / "a.jsonl", cells * 20, "score"))
    assert problem.labelling.problem == "regression"
    assert set(data.train["label"]) == values
    assert picked(data)["decimal mark"] == mark


def test_a_comma_that_may_be_either_is_asked_about_and_the_remedies_work(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["1,250", "2,500", "3"] * 20)
    _, _, faults = bind(file)
    assert faults == ["a.jsonl:1 data.decimal_unclear example=1,250 column=label"]
    comma, _ = bound(file, {"problem": "regression"}, decimal="comma")
    point, _ = bound(file, {"problem": "regression"}, decimal="point")
    assert set(comma.train["label"]) == {1.25, 2.5, 3.0}
    assert set(point.train["label"]) == {1250.0, 2500.0, 3.0}


def test_lists_of_numbers_are_asked_about_and_the_remedies_work(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["3,5", "4", "1,2", "3"] * 20)
    assert "data.decimal_unclear" in bind(file)[2][0]
    assert bound(file, decimal="comma")[1].labelling.problem == "regression"
    assert bound(file, {"label_separator": ","})[1].labels == ("1", "2", "3", "4", "5")


def test_other_files_have_the_decimal_mark_of_the_training_file(tmp_path: Path) -> None:
    train = table_of(tmp_path / "a.jsonl", ["3,0", "4,5"] * 20)
    test = write_rows(tmp_path / "b.jsonl", [{"text": "x", "label": "1,250"}])
    data, _ = bound(train, test=test)
    assert data.test["label"] == [1.25]


def test_a_tuned_model_reads_numbers_with_the_mark_it_learned(tmp_path: Path) -> None:
    ambiguous = table_of(tmp_path / "b.jsonl", ["1,250", "2,500"])
    for cells, values in ((["3,0", "4,5"], [1.25, 2.5]), (["3.0", "4.5"], [1250.0, 2500.0])):
        _, problem = bound(table_of(tmp_path / "a.jsonl", cells * 20))
        codec, faults = problem.codec, Faults()
        config = DataConfig(train=ambiguous)
        records = collect_file(ambiguous, config, codec.roles, faults, codec.convert)
        assert records is not None and codec.read_targets(records, faults).tolist() == values
        assert list(faults) == []


LABELS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cf", "Cc", "Z", "P", "Sm"]), min_size=1),
    min_size=2,
    max_size=5,
    unique_by=lambda label: fold_spelling(as_key(label)),
).filter(lambda labels: not any(may_be_missing(as_key(label)) for label in labels))


@given(LABELS, st.sampled_from(["jsonl", "csv"]))
def test_labels_of_every_script_come_back_from_files(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], suffix: str
) -> None:
    file = tmp_path_factory.mktemp("labels") / f"a.{suffix}"
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels * 20)]
    if suffix == "csv":
        lines = ["text,label", *(f"{row['text']},{row['label']}" for row in rows)]
        file.write_text("\n".join(lines), encoding="utf-8")
    else:
        write_rows(file, rows)
    data, problem = bound(str(file), {"problem": "single_label"})
    found = problem.codec.read_targets(data.train, Faults())
    known = {line: as_key(row["label"]) for line, row in enumerate(rows, 1 + (suffix == "csv"))}
    told = [problem.labels[number] for number in found]
    assert told == [known[line] for line in data.train.lines]


@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1), st.sampled_from("|;,"))
def test_sets_come_back_from_every_way_to_write_them(sets: list[set[str]], mark: str) -> None:
    wanted = [sorted(labels) for labels in sets]
    written = [str(labels) for labels in wanted]
    for separator, cells in ((mark, [mark.join(labels) for labels in wanted]), (None, written)):
        table = Table("a", {"text": ["x"] * len(cells), "label": cells}, list(range(len(cells))))
        read = LabelReader("multi_label", separator).convert(table, {}, Faults())
        found = [split_cell(cell, separator) for cell in read.columns["label"]]
        assert [sorted(labels) for labels in found] == wanted
