"""Reading texts, then learning the task: from the config to the results of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import welltuned as wt
from faults import refused
from resuming import Killed, Killing, Notes
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.pipeline import run_adaptation
from welltuned.runs import Run

Asking = Callable[..., AdaptConfig]


def only_adapted(parent: Path) -> Path:
    (folder,) = (parent / "adapted").iterdir()
    return folder


def test_the_run_starts_from_a_model_that_has_read(asking: Asking, masked: str) -> None:
    run = wt.train(asking())
    folder = only_adapted(run.folder.parent)
    assert run.config["model"]["name"] == str(folder / "model")
    told = run.results["adaptation"]
    assert told["texts"] == 108
    assert told["objective"] == "masked"
    assert not told["output_layer_built"]
    assert told == json.loads((folder / "adaptation.json").read_text())
    before, after = (load_file(Path(f) / "model.safetensors") for f in (masked, folder / "model"))
    name = "bert.encoder.layer.0.output.dense.weight"
    assert not before[name].equal(after[name])
    assert "Texts read before" in run.report.read_text(encoding="utf-8")
    assert wt.load(run, device="cpu").predict(["a good film"])


def test_a_labelled_run_that_is_resumed_tells_of_the_reading_too(
    asking: Asking, tmp_path: Path
) -> None:
    where = tmp_path / "runs" / "cut"
    training = {"max_steps": 6, "save_steps": 2, "per_device_train_batch_size": 8}
    with pytest.raises(Killed):
        run_adaptation(asking(output_dir=str(where), training=training), KilledIn(where, 3))
    run = wt.resume(where)
    assert run.is_finished
    assert run.results["adaptation"]["texts"] == 108
    assert "Texts read before" in run.report.read_text(encoding="utf-8")
    longer = wt.resume(where, "training.max_steps=8")
    assert longer.results["adaptation"] == run.results["adaptation"]


class KilledIn(Killing):
    """Killed at a step of the run in this folder, and of no other."""

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(step)
        self._folder = folder

    def stepped(self, step: Any) -> None:
        if (self._folder / "config.yaml").exists():
            super().stepped(step)


@pytest.mark.slow
def test_another_strategy_finds_the_adapted_model(asking: Asking, tmp_path: Path) -> None:
    measured = {"untrained": False, "retention": "auto"}
    first = run_adaptation(asking(evaluation=measured))
    assert "loss_general_en" in first.results["adaptation"]["retention"]
    folder = only_adapted(tmp_path / "runs")
    notes = Notes()
    where = str(tmp_path / "runs/other")
    other = asking(strategy={"type": "lora", "r": 4}, output_dir=where, evaluation=measured)
    run = run_adaptation(other, notes)
    assert run.config["model"]["name"] == str(folder / "model")
    assert any("there already" in line for line in notes.told)
    assert only_adapted(tmp_path / "runs") == folder


@pytest.mark.slow
def test_reading_that_was_interrupted_goes_on_to_the_same_bits(
    asking: Asking, tmp_path: Path
) -> None:
    training = {
        "max_steps": 8,
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-2,
        "precision": "fp32",
        "device": "cpu",
        "save_steps": 2,
    }

    def asked(where: str) -> AdaptConfig:
        folder = str(tmp_path / where / "run")
        return asking(adaptation={"training": training}, output_dir=folder)

    with pytest.raises(Killed):
        run_adaptation(asked("one"), Killing(5))
    run_adaptation(asked("one"))
    run_adaptation(asked("two"))
    one, two = (
        load_file(only_adapted(tmp_path / where) / "model/model.safetensors")
        for where in ("one", "two")
    )
    assert all(torch.equal(one[name], two[name]) for name in two)


@pytest.mark.slow
def test_new_tokens_are_trained_and_saved_with_the_tokenizer(asking: Asking) -> None:
    from transformers import AutoTokenizer

    texts = [{"text": f"the cellar was cold and so {word}"} for word in "abcdefghijklmnopqrst"]
    file = Path(asking().output_dir or "").parent / "cellars.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in texts))
    config = asking(data={"unlabelled": str(file)}, adaptation={**_short(), "new_tokens": 3})
    run = run_adaptation(config)
    folder = only_adapted(run.folder.parent)
    number = AutoTokenizer.from_pretrained(folder / "model").convert_tokens_to_ids("cellar")
    names = "bert.embeddings.word_embeddings.weight"
    before, after = (
        load_file(folder / part / "model.safetensors")[names] for part in ("extended", "model")
    )
    assert not before[number].equal(after[number])
    assert run.results["adaptation"]["new_tokens"] == 1
    assert "cellar" in AutoTokenizer.from_pretrained(run.model).get_vocab()


def _short() -> dict[str, Any]:
    training = {"max_steps": 3, "precision": "fp32", "device": "cpu", "learning_rate": 1e-2}
    return {"training": training}


@pytest.mark.slow
def test_a_decoder_reads_on_as_it_was_pretrained(
    asking: Asking, causal: Callable[..., str]
) -> None:
    run = run_adaptation(asking(model=causal("llama"), adaptation=_short()))
    assert run.results["adaptation"]["objective"] == "causal"


def test_what_is_wrong_with_the_run_is_told_before_anything_is_read(
    asking: Asking, tmp_path: Path
) -> None:
    with refused("training.metric_unknown"):
        run_adaptation(asking(training={"metric_for_best_model": "bleu", "device": "cpu"}))
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_an_encoder_without_an_output_layer_gets_one_and_it_is_said(
    asking: Asking, tiny: Callable[..., str]
) -> None:
    run = run_adaptation(asking(model=tiny("bert"), adaptation=_short()))
    assert run.results["adaptation"]["output_layer_built"]
    reading = Run(only_adapted(run.folder.parent) / "run")
    notes = [note["code"] for note in reading.read("data.json")["notes"]]
    assert "model.output_layer_built" in notes
