"""Runs on a base that has been tuned before: what they take over, and that they say so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from comparing import carried_out, values_for, without_processes
from faults import noted, refused
from support import (
    WORDS,
    config_values,
    hashed_anew,
    loaded_for,
    make_rows,
    session_for,
    tune,
    write_rows,
)
from welltuned.config import run_config_from
from welltuned.deployment.export.run_export import export_run
from welltuned.runs import Run
from welltuned.runs.folder import list_runs
from welltuned.training.preparation.prepare import prepare

HEAD = {"type": "partial", "num_blocks": 0}
AUTO: dict[str, Any] = {"pooling": "auto"}
FLIP = {"positive": "terrible", "negative": "fine"}
SWAPPED = {"positive": "POSITIVE", "negative": "negative"}
"""In the order of their names these stand the other way round."""


def relabelled(path: Path, names: dict[str, str], number: int = 160) -> str:
    rows = [row | {"label": names[row["label"]]} for row in make_rows(number, seed=1)]
    return write_rows(path, rows)


def about_the_base(messages: Any) -> list[str]:
    return [one for one in noted(messages) if one.startswith("model.")]


def accuracy(session: Any) -> float:
    return float(session.score("validation", "fp32")["accuracy"])


def test_a_head_follows_its_labels_whatever_their_order(finished: Run, tmp_path: Path) -> None:
    """It knows the answers before the first step, and would have had them all wrong."""
    data = relabelled(tmp_path / "swapped.jsonl", SWAPPED)
    before = session_for(str(finished.model), data, HEAD, task=AUTO)
    assert before.problem.labels == ("POSITIVE", "negative")
    assert accuracy(before) > 0.7
    assert before.config.task.pooling == "mean", "as the run had it"
    assert about_the_base(before.prepared.data.facts.notes) == [
        "model.pooling_kept pooling=mean",
        "model.head_kept labels=POSITIVE, negative",
    ]


def test_an_old_head_never_stands_under_new_names(finished: Run, tmp_path: Path) -> None:
    """After training it is right, and the run's folder and report say that the head is new."""
    data = relabelled(tmp_path / "flip.jsonl", FLIP)
    run = tune(str(finished.model), data, HEAD, tmp_path / "run", task=AUTO)
    assert run.results["test"]["accuracy"] > 0.7
    assert about_the_base(run.read("data.json")["notes"]) == [
        "model.pooling_kept pooling=mean",
        "model.head_new before=negative, positive",
    ]
    assert run.results["start"] == {
        "pooling": "mean",
        "head": {
            "outcome": "new",
            "kept": [],
            "initialised": ["fine", "terrible"],
            "dropped": ["negative", "positive"],
        },
    }
    assert "None of the labels of the base model" in run.report.read_text(encoding="utf-8")


def test_labels_that_mean_the_same_are_matched_as_the_note_says(
    finished: Run, tmp_path: Path
) -> None:
    """Written alike under id2label of the base's config.json."""
    base = tmp_path / "base"
    shutil.copytree(finished.model, base)
    file = base / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["id2label"] = {row: FLIP[name] for row, name in config["id2label"].items()}
    config["label2id"] = {name: int(row) for row, name in config["id2label"].items()}
    file.write_text(json.dumps(config), encoding="utf-8")
    data = relabelled(tmp_path / "flip.jsonl", FLIP)
    before = session_for(str(hashed_anew(base)), data, HEAD, task=AUTO)
    assert before.problem.labels == ("fine", "terrible") and accuracy(before) > 0.7


def test_a_class_more_keeps_the_others(finished: Run, tmp_path: Path) -> None:
    rows = make_rows(90, seed=1)
    for row in rows[::5]:
        row["label"] = "a third"
    data = write_rows(tmp_path / "three.jsonl", rows)
    before = session_for(str(finished.model), data, HEAD, task=AUTO)
    assert about_the_base(before.prepared.data.facts.notes)[1:] == [
        "model.head_extended kept=negative, positive added=a third"
    ]
    scores = before.score("validation", "fp32")
    assert scores["accuracy"] > 0.6, "the others are still known"


def test_another_pooling_leaves_nothing_of_a_head(finished: Run, tmp_path: Path) -> None:
    data = relabelled(tmp_path / "same.jsonl", {"positive": "positive", "negative": "negative"})
    before = loaded_for(str(finished.model), data, HEAD, task={"pooling": "first"})
    assert [one.split()[0] for one in about_the_base(before.prepared.data.facts.notes)] == [
        "model.head_built_differently"
    ]
    assert {"classifier.weight", "classifier.bias"} <= set(before.origin.new)


def test_an_adapter_on_a_base_with_another_head_is_loaded_again(
    finished: Run, tmp_path: Path
) -> None:
    """The proof loads it afresh; the base's own head has another size then, or another order."""
    data = relabelled(tmp_path / "swapped.jsonl", SWAPPED)
    run = tune(str(finished.model), data, {"type": "lora", "r": 2}, tmp_path / "run", task=AUTO)
    assert run.state == "finished" and run.results["test"]["accuracy"] > 0.7
    rows = make_rows(60, seed=1)
    for row in rows[::3]:
        row["label"] = "a third"
    data = write_rows(tmp_path / "three.jsonl", rows)
    run = tune(str(finished.model), data, {"type": "lora", "r": 2}, tmp_path / "three", task=AUTO)
    assert run.state == "finished"
    card = (run.model / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[2].split("```")[0].replace("THIS_FOLDER", str(run.model))
    exec(code, {})  # as the card tells people to load it


@pytest.mark.parametrize("several", [False, True])
def test_several_labels_and_numbers(several: bool, tiny: Any, tmp_path: Path) -> None:
    """A run of the same kind goes on from what it knew, in units of its own."""
    rows: list[dict[str, Any]] = make_rows(100, seed=2)
    for row in rows:
        good = row["label"] == "positive"
        row["label"] = (
            (["good", "any"] if good else ["any"]) if several else 70.5 if good else 20.25
        )
    data = write_rows(tmp_path / "data.jsonl", rows)
    first = tune(tiny("bert"), data, "full", tmp_path / "run", task={"pooling": "mean"})
    shifted = tmp_path / "shifted.jsonl"
    write_rows(shifted, rows[:40] if several else rows[:33])
    before = session_for(str(first.model), str(shifted), HEAD, task=AUTO)
    name = "micro_f1" if several else "mae"
    was, now = first.results["validation"][name], before.score("validation", "fp32")[name]
    assert abs(now - was) < (0.1 if several else 10), (was, now)
    assert before.origin.new == ()


def test_a_run_goes_on_under_its_own_name(finished: Run, sentiment: str, tmp_path: Path) -> None:
    """The artifact of a run that goes on is used like any other."""
    run = tune(str(finished.model), sentiment, HEAD, tmp_path / "run", task=AUTO)
    answers = wt.load(run).predict(["a good great film", "an awful poor room"])
    assert [one["prediction"] for one in answers] == ["positive", "negative"]


# --- Runs and adapters -----------------------------------------------------------


def test_a_lora_run_is_merged_and_goes_on(adapted: Run, sentiment: str, tmp_path: Path) -> None:
    """The merged model answers as the run does, and what is tuned from it is loaded again."""
    before = session_for(str(adapted.folder), sentiment, HEAD, task=AUTO)
    assert [one.split()[0] for one in about_the_base(before.prepared.data.facts.notes)] == [
        "model.from_run",
        "model.adapter_merged",
        "model.pooling_kept",
        "model.head_kept",
    ]
    assert before.config.task.pooling == "model" and before.origin.new == ()
    was = adapted.results["validation"]["log_loss"]
    assert before.score("validation", "fp32")["log_loss"] == pytest.approx(was, rel=1e-3)
    run = tune(
        str(adapted.folder), sentiment, {"type": "lora", "r": 2}, tmp_path / "run", task=AUTO
    )
    assert run.results["start"]["run"] == str(adapted.folder)
    assert run.results["start"]["merged_into"] == adapted.config["model"]["name"]
    again = tune(str(run.folder), sentiment, {"type": "lora", "r": 2}, tmp_path / "b", task=AUTO)
    assert again.state == "finished" and wt.load(again).predict(["good film"])
    exported = export_run(run.folder, "plain", tmp_path / "exported")
    once_more = session_for(str(exported), sentiment, HEAD, task=AUTO)
    assert once_more.score("validation", "fp32")["log_loss"] == pytest.approx(
        run.results["validation"]["log_loss"], rel=1e-3
    )


@pytest.mark.parametrize("pooling", ["mean", "model"])
def test_a_run_gives_its_pooling(pooling: str, tiny: Any, sentiment: str, tmp_path: Path) -> None:
    """An adapter of ours over a pooled head included, and other labels too."""
    lora = {"type": "lora", "r": 2}
    first = tune(tiny("bert"), sentiment, lora, tmp_path / "run", task={"pooling": pooling})
    data = relabelled(tmp_path / "flip.jsonl", SWAPPED)
    before = loaded_for(str(first.folder), data, HEAD, task=AUTO)
    assert before.config.task.pooling == pooling


def test_a_run_that_has_failed_is_refused(finished: Run, sentiment: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    Run(tmp_path / "run").set_status("failed", error="it broke")
    with refused("run.without_model", state="failed"):
        prepare(
            run_config_from(config_values(str(tmp_path / "run"), sentiment, HEAD, tmp_path / "n"))
        )


# --- Other tasks, comparisons and pipelines -------------------------------------------


def tagged(path: Path, names: dict[str, str]) -> str:
    """Every word has a tag, by which opinion it holds."""
    rows = []
    for row in make_rows(80, seed=4):
        words = row["text"].split()
        kinds = ["good" if w in WORDS[:8] else "bad" if w in WORDS[8:16] else "none" for w in words]
        rows.append({"tokens": words, "tags": [names[kind] for kind in kinds]})
    return write_rows(path, rows)


def test_a_tagger_goes_on_under_tags_in_another_order(tiny: Any, tmp_path: Path) -> None:
    first = {"good": "GOOD", "bad": "BAD", "none": "O"}
    data = tagged(tmp_path / "first.jsonl", first)
    task = {"task": "token_classification", "training": {"learning_rate": 3e-3}}
    run = tune(tiny("bert"), data, "full", tmp_path / "run", **task)
    again = tagged(tmp_path / "again.jsonl", {**first, "bad": "bad", "none": "a new tag"})
    before = session_for(str(run.folder), again, HEAD, **task)
    match = before.prepared.head.match
    assert match is not None and set(match.kept) == {"GOOD", "bad"}
    assert match.dropped == ("O",) and match.added == ("a new tag",)
    assert about_the_base(before.prepared.data.facts.notes)[-1].endswith("labels=O")
    # A classifier of texts with the very same labels has no head for words.
    texts = write_rows(
        tmp_path / "texts.jsonl",
        [r | {"label": {"positive": "GOOD", "negative": "BAD"}[r["label"]]} for r in make_rows(60)],
    )
    before = session_for(str(run.folder), texts, HEAD, task=AUTO)
    assert before.prepared.head.match.outcome == "new"


def test_a_reward_model_goes_on(rewarded: Run, preferences: str) -> None:
    """Its one number is kept, and says at once what it said."""
    before = session_for(str(rewarded.folder), preferences, HEAD, task={"type": "reward"})
    assert before.origin.new == ()
    assert about_the_base(before.prepared.data.facts.notes)[-1] == "model.number_kept before=reward"
    was = rewarded.results["validation"]["pair_accuracy"]
    assert before.score("validation", "fp32")["pair_accuracy"] == pytest.approx(was)


def test_a_comparison_can_begin_from_a_run(
    adapted: Run, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell goes on from it."""
    without_processes(monkeypatch, reports=False)
    values = values_for(str(adapted.folder), sentiment, tmp_path / "c", seeds=1, task=AUTO)
    runs = list_runs(carried_out(values).folder)
    assert len(runs) == 2 and {run.state for run in runs} == {"finished"}
    assert {run.results["start"]["run"] for run in runs} == {str(adapted.folder)}
