"""The model card tells what the run has measured, and nothing that it has not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from welltuned.deployment.hub.card import Publication, model_card
from welltuned.deployment.hub.subject import Subject
from welltuned.runs import Run

TO = Publication("me/reviews", "apache-2.0", ("en",))


def card_of(folder: Path, publication: Publication = TO) -> tuple[dict[str, Any], str]:
    """(metadata, text) of a card, as the Hub's own client reads it."""
    card = ModelCard(model_card(Subject.of(folder), publication))
    return card.data.to_dict(), card.text


def test_scores_stand_with_their_intervals_and_baselines(finished: Run) -> None:
    _, text = card_of(finished.folder)
    test, majority = finished.results["test"], finished.results["baselines"]["majority"]
    low, high = test["macro_f1_ci95"]
    row = next(line for line in text.splitlines() if line.startswith("| macro-F1 |"))
    assert f"| {test['macro_f1']:.3f} | {low:.3f} to {high:.3f} |" in row
    assert f"{majority['macro_f1']:.3f}" in row and "majority" in text


def test_the_data_are_told_by_their_numbers_alone(finished: Run, sentiment: str) -> None:
    metadata, text = card_of(finished.folder)
    splits = finished.read("data.json")["splits"]
    assert f"| train | {Path(sentiment).name} | {splits['train']['rows']}" in text
    assert str(Path(sentiment).parent) not in text + json.dumps(metadata)
    for line in Path(sentiment).read_text().splitlines()[:30]:
        assert json.loads(line)["text"] not in text


def test_metadata_are_those_of_the_hub(finished: Run, adapted: Run) -> None:
    metadata, _ = card_of(finished.folder)
    assert metadata["license"] == "apache-2.0" and metadata["language"] == ["en"]
    assert metadata["library_name"] == "transformers"
    assert metadata["pipeline_tag"] == "text-classification"
    assert "base_model" not in metadata, "a folder of this machine is none of the Hub's"
    assert metadata["model-index"][0]["results"][0]["metrics"][0]["value"] > 0
    assert card_of(adapted.folder)[0]["library_name"] == "peft"


def test_what_a_model_is_to_its_base_is_told(
    finished: Run, adapted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subject, "base_on_hub", "org/base")
    for run, relation in ((finished, "finetune"), (adapted, "adapter")):
        metadata, text = card_of(run.folder)
        assert metadata["base_model"] == "org/base"
        assert metadata["base_model_relation"] == relation and relation not in text[:40]


def test_what_was_not_measured_is_said_so(finished: Run) -> None:
    _, text = card_of(finished.folder)
    assert "## What it forgot\n\nThat was not measured." in text
    assert "None" not in text


def test_what_was_forgotten_is_told_with_its_interval(finished: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished.folder, tmp_path / "run")))
    entry = {
        "kind": "probe", "before": 0.8, "after": 0.6, "kept": 0.75, "chance": 0.1,
        "why": "x", "source": "demo:topics_en", "examples": 240,
    }  # fmt: skip
    retention = {"kept": 0.75, "kept_ci95": [0.7, 0.8], "decided_by": "topics", "topics": entry}
    run.write("results.json", {**run.results, "retention": retention})
    _, text = card_of(run.folder)
    assert "still can 75.0% of what its base could (interval 70.0% to 80.0%)" in text
    assert "| topics: another task, read off frozen features | 0.800 | 0.600 | 0.750 |" in text


def test_how_to_load_it_names_the_repository(finished: Run, adapted: Run) -> None:
    for run in (finished, adapted):
        _, text = card_of(run.folder)
        assert 'wt.load(snapshot_download("me/reviews")).predict(["some text"])' in text
        assert "THIS_FOLDER" not in text and '"me/reviews"' in text.partition("plain libraries")[2]


def test_a_model_without_its_run_claims_no_scores(finished: Run, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(finished.model, tmp_path / "alone"))
    metadata, text = card_of(alone)
    assert "## Scores\n\nNone are known: the model stands without its run." in text
    assert "model-index" not in metadata
    assert card_of(finished.model)[1] == card_of(finished.folder)[1], "its run lies around it"


def test_names_of_others_stay_words(finished: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished.folder, tmp_path / "run")))
    facts = run.read("data.json")
    facts["splits"]["test"]["source"] = "a|b <script>.csv"
    run.write("data.json", facts)
    _, text = card_of(run.folder)
    assert "<script>" not in text and r"a\|b \<script\>.csv" in text


@pytest.mark.slow
@pytest.mark.parametrize("task", ["number", "chat", "reward"])
def test_every_kind_of_task_has_a_card(answering: Any, task: str) -> None:
    run = answering(task)
    _, text = card_of(run.folder)
    assert "None" not in text.replace("None are known", "") and "| 0." in text


def test_an_export_says_what_it_is_and_how_it_was_proved(finished: Run, tmp_path: Path) -> None:
    change = {"before": 0.9, "after": 0.88, "difference_ci95": [-0.03, 0.0]}
    told = {
        "format": "openvino", "precision": "int8", "recipe": "static int8", "run":
        str(finished.folder), "model": json.loads((finished.model / "welltuned.json").read_text()),
        "proof": {"score": {"split": "test", "metric": "macro_f1", "change": change}},
    }  # fmt: skip
    (tmp_path / "export.json").write_text(json.dumps(told))
    metadata, text = card_of(tmp_path)
    assert "format `openvino`, precision `int8` (static int8)" in text
    assert "macro-F1 0.900 before and 0.880 after it" in text
    assert metadata["library_name"] == "openvino" and "| macro-F1 |" in text
