"""As many answers as inputs, each equal to the one given alone, and all of it counted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import welltuned as wt
from answering import TASKS, questions
from faults import fails, noted, refused
from support import hashed_anew, write_rows
from welltuned.artifact.answers import ABSTAINED, EMPTY, Tally, refused_row, withheld_row
from welltuned.errors import Fault, Place
from welltuned.runs import Run

Answering = Callable[[str], Run]


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without the place of its input."""
    return {name: value for name, value in row.items() if name != "id"}


def same(one: Any, other: Any) -> bool:
    """Whether two answers are equal; numbers to 1e-5."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-5
    return bool(one == other)


# --- Each as if it were alone ----------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_answer_equals_the_one_given_alone(task: str, answering: Answering) -> None:
    predictor, asked = wt.load(answering(task)), questions(task)
    alone = [told(predictor.predict([one])[0]) for one in asked]
    assert any(row.get("cut") for row in alone) or task in ("reward", "pairs")
    for size in (2, 3, 64):
        order = random.Random(size).sample(range(len(asked)), len(asked))
        rows = predictor.predict([asked[i] for i in order], batch_size=size)
        assert [row["id"] for row in rows] == [f"texts:{n}" for n in range(1, len(asked) + 1)]
        for i, row in zip(order, rows, strict=True):
            assert same(told(row), alone[i]), (size, asked[i])


@pytest.mark.parametrize("task", TASKS)
def test_an_empty_input_has_no_answer_and_changes_no_other(task: str, answering: Answering) -> None:
    predictor, asked = wt.load(answering(task)), questions(task, 3)
    blank: dict[str, Any] = {
        "pairs": ("good film", " "),
        "reward": ("was it", "\t"),
        "chat": [{"role": "user", "content": "\n"}],
        "tags": [],
    }
    rows = predictor.predict([asked[0], blank.get(task, " \u2003"), *asked[1:]])
    assert rows[1]["id"] == "texts:2" and rows[1]["prediction"] is None
    assert rows[1]["code"] == EMPTY and "empty" in rows[1]["reason"]
    without = predictor.predict(asked)
    assert [told(row) for row in (rows[0], *rows[2:])] == [told(row) for row in without]


def test_a_tab_is_part_of_a_text(answering: Answering) -> None:
    predictor = wt.load(answering("single"))
    tabbed, spaced, _ = predictor.predict(["good\tfilm bad", "good film bad", "a film"])
    assert told(tabbed) == told(spaced)


# --- Weights and outputs that are no numbers -------------------------------------------


def test_weights_that_are_not_finite_are_refused(finished: Run, tmp_path: Path) -> None:
    import shutil

    for value in (float("nan"), float("inf")):
        model = Path(shutil.copytree(finished.model, tmp_path / f"{value}"))
        tensors = load_file(model / "model.safetensors")
        name = sorted(tensors)[0]
        tensors[name].view(-1)[3] = value
        save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
        with fails("artifact.weights_not_finite", name=name):
            wt.load(hashed_anew(model))


def test_outputs_that_are_not_finite_are_refused(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.artifact import predictor as module

    predictor = wt.load(answering("single"))
    rows = np.array([[0.0, 1.0], [np.nan, 0.0], [0.0, np.inf]], dtype=np.float32)
    monkeypatch.setattr(module, "predict_side_by_side", lambda *given, **more: rows)
    with fails("predict.output_not_finite", number=2, total=3) as caught:
        predictor.predict(["a film", "good", "bad"])
    assert caught.value.faults[0].place == Place("texts", 2) and caught.value.exit_status == 1


# --- Counted -----------------------------------------------------------------------


def test_a_tally_says_nothing_where_all_is_answered() -> None:
    tally = Tally()
    tally.add({"id": "a:1", "prediction": "good"})
    assert (tally.line, tally.rows, tally.answered) == ("", 1, 1)


def test_a_tally_counts_what_was_not_answered_or_cut_with_ids() -> None:
    tally = Tally()
    broken = refused_row(Fault("data.bad_json", "no {x}", Place("a", 4, 9), "mend {x}", x="JSON"))
    assert broken["id"] == "a:4" and broken["reason"] == "no JSON -> mend JSON"
    for row in (
        {"id": "a:1", "prediction": "good", "cut": True},
        {"id": "a:2", "prediction": None, "code": EMPTY, "reason": ""},
        {"id": "a:3", "prediction": []},
        broken,
    ):
        tally.add(row)
    counts = {"rows": 4, "answered": 2, "empty": 1, "abstained": 0, "unreadable": 1, "cut": 1}
    assert tally.as_dict() == {
        **counts,
        "notes": [],
        "ids": {"cut": ["a:1"], "empty": ["a:2"], "unreadable": ["a:4"]},
    }
    assert all(id in tally.line for id in ("a:1", "a:2", "a:4")) and "2 of 4" in tally.line


def test_an_answer_that_is_not_sure_enough_is_none_and_counted_as_such() -> None:
    chances = {"a": 0.55, "b": 0.45}
    sure = {"id": "a:1", "prediction": "a", "probabilities": {"a": 0.9, "b": 0.1}}
    row = withheld_row({**sure, "id": "a:2", "probabilities": chances, "abstained": True})
    assert withheld_row(sure) is sure
    assert (row["prediction"], row["code"], row["probabilities"]) == (None, ABSTAINED, chances)
    assert "55.0%" in row["reason"]
    tally = Tally()
    tally.add(sure)
    tally.add(row)
    assert (tally.answered, tally.abstained, tally.unreadable) == (1, 1, 0)
    assert "a:2" in tally.line


# --- Scored --------------------------------------------------------------------------


def test_what_was_trained_on_is_told_by_evaluate(answering: Answering, tmp_path: Path) -> None:
    run = answering("single")
    predictor, file = wt.load(run), str(run.folder.parent / "single.jsonl")
    sizes = {split: part["rows"] for split, part in run.read("data.json")["splits"].items()}
    scores = predictor.evaluate(file)
    assert scores["rows"] == scores["examples"] == 60 and scores["trained_on"] == sizes["train"]
    assert f"predict.trained_on source=single.jsonl number={sizes['train']} total=60" in noted(
        scores["notes"]
    )
    fresh = write_rows(tmp_path / "fresh.jsonl", [{"text": "never so", "label": "positive"}])
    scores = predictor.evaluate(fresh)
    assert scores["trained_on"] == 0 and scores["notes"] == []


def test_without_its_run_nobody_knows_what_a_model_was_trained_on(
    answering: Answering, tmp_path: Path
) -> None:
    import shutil

    run = answering("single")
    alone = shutil.copytree(run.model, tmp_path / "alone")
    scores = wt.load(alone).evaluate(str(run.folder.parent / "single.jsonl"))
    assert scores["trained_on"] is None
    assert [note["code"] for note in scores["notes"]] == ["predict.training_texts_unknown"]


def test_rows_that_are_empty_or_cut_are_counted_by_evaluate(
    answering: Answering, tmp_path: Path
) -> None:
    rows = [
        {"text": "so good", "label": "positive"},
        {"text": " ", "label": "negative"},
        {"text": "bad " * 90, "label": "negative"},
    ]
    file = write_rows(tmp_path / "some.jsonl", rows)
    scores = wt.load(answering("single")).evaluate(file)
    counts = {name: scores[name] for name in ("rows", "examples", "empty", "left_out", "cut")}
    assert counts == {"rows": 3, "examples": 2, "empty": 1, "left_out": 0, "cut": 1}
    assert noted(scores["notes"]) == [
        "data.empty_left_out source=some.jsonl number=1 lines=2",
        "predict.cut source=some.jsonl number=1 examples=2",
    ]


def test_examples_without_an_answer_in_reach_are_counted_by_evaluate(
    answering: Answering, tmp_path: Path
) -> None:
    rows = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "good"}]}
        for text in ("was it", "was it " * 90)
    ]
    scores = wt.load(answering("chat")).evaluate(write_rows(tmp_path / "some.jsonl", rows))
    assert (scores["rows"], scores["examples"], scores["left_out"]) == (2, 1, 1)
    assert "predict.left_out source=some.jsonl number=1" in noted(scores["notes"])


def test_logits_that_are_not_finite_are_refused(answering: Answering) -> None:
    """Where weights are finite and yet nothing can be chosen by what they make."""
    predictor = wt.load(answering("chat"))
    head: Any = predictor.model.get_output_embeddings()  # type: ignore[operator]
    head.register_forward_hook(lambda module, given, logits: logits * float("nan"))
    with fails("predict.logits_not_finite"):
        predictor.predict("was it good")


# --- Metrics that the artifact names ------------------------------------------------


def test_a_metric_that_the_artifact_names_is_not_imported_unasked(
    answering: Answering, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setenv("WELLTUNED_ALLOW_IMPORTS", "")
    model = Path(shutil.copytree(answering("chat").model, tmp_path / "model"))
    runs = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
    (tmp_path / "evil_metric.py").write_text(runs)
    monkeypatch.syspath_prepend(tmp_path)
    manifest = json.loads((model / "welltuned.json").read_text())
    manifest["task"]["config"]["metrics"] = ["evil_metric.run"]
    (model / "welltuned.json").write_text(json.dumps(manifest))
    hashed_anew(model)
    with refused("config.code_not_allowed", key="task.metrics", value="'evil_metric.run'"):
        wt.load(model).evaluate(instructions)
    assert not (tmp_path / "ran").exists()
    assert wt.load(model).predict("was it good")
    monkeypatch.setenv("WELLTUNED_ALLOW_IMPORTS", "1")
    with refused("import.failed", path="evil_metric.run"):  # it has no function `run`
        wt.load(model).evaluate(instructions)
    assert (tmp_path / "ran").exists()
