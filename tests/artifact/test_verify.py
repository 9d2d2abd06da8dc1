"""Proof before success: every fault that is planted is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from faults import fails
from support import hashed_anew, make_rows, tune, write_rows
from welltuned.artifact.save_load import Artifact, save_artifact
from welltuned.artifact.verify import EXAMPLES, WeightHashes, compare_weights
from welltuned.engines import torch_loop
from welltuned.engines.job import Job, Outcome
from welltuned.models.freezing import hash_weights
from welltuned.runs import Run
from welltuned.strategies import ParameterGroup
from welltuned.training import train as pipeline

HEAD = {"type": "partial", "num_blocks": 1}


@pytest.fixture
def failing(tiny: Any, sentiment: str, tmp_path: Path) -> Callable[..., Run]:
    """`failing(code, **values)`: a run of one step that must fail so."""

    def run(code: str, **values: Any) -> Run:
        with fails(code, **values) as failure:
            tune(
                tiny("bert"),
                sentiment,
                HEAD,
                tmp_path / "run",
                task={"pooling": "mean"},
                training={"max_steps": 1, "num_train_epochs": "auto", "eval_strategy": "no"},
            )
        failed = Run.open(tmp_path / "run")
        assert failed.state == "failed"
        assert str(failure.value) in str(failed.status["error"])
        assert not failed.results
        return failed

    return run


def after_training(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Job], None]) -> None:
    """Training, and then something that must not happen."""
    train = torch_loop.fit_with_loop

    def spoilt(job: Job) -> Outcome:
        outcome = train(job)
        with torch.no_grad():
            spoil(job)
        return outcome

    monkeypatch.setattr(torch_loop, "fit_with_loop", spoilt)


def after_saving(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]) -> None:
    def spoilt(artifact: Artifact, folder: Path) -> int:
        size = save_artifact(artifact, folder)
        spoil(folder)
        hashed_anew(folder)
        return size

    monkeypatch.setattr(pipeline, "save_artifact", spoilt)


def frozen(job: Job) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in job.model.named_parameters() if not p.requires_grad]


# --- Planted faults ------------------------------------------------------------


def test_a_frozen_weight_that_moved_is_found(failing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def nudge(job: Job) -> None:
        name, parameter = frozen(job)[3]
        names.append(name)
        parameter.view(-1)[-1] += 1e-6

    after_training(monkeypatch, nudge)
    failed = failing("proof.frozen_weights_changed", number=1)
    assert f"'{names[0]}'" in str(failed.status["error"])


def test_training_that_moved_nothing_is_found(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_loop, "fit_with_loop", lambda job: Outcome(steps=1))
    failing("proof.nothing_changed")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_found(
    number: float, failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(job: Job) -> None:
        next(p for p in job.model.parameters() if p.requires_grad).view(-1)[0] = number

    after_training(monkeypatch, spoil)
    failing("proof.not_finite")


def test_a_saved_weight_that_differs_is_found(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tamper(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = load_file(file)
        name = next(name for name in tensors if name.endswith("layer.0.output.dense.weight"))
        tensors[name] *= 1.1
        save_file(tensors, file, metadata={"format": "pt"})

    after_saving(monkeypatch, tamper)
    failing("proof.reload_differs")


def test_a_saved_weight_that_is_not_finite_is_found(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tamper(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = load_file(file)
        name = next(name for name in tensors if name.endswith("layer.0.output.dense.weight"))
        tensors[name].fill_(float("nan"))
        save_file(tensors, file, metadata={"format": "pt"})

    after_saving(monkeypatch, tamper)
    error = failing("artifact.weights_not_finite").status["error"]
    assert "layer.0.output.dense.weight" in error


def test_a_saved_pooling_that_differs_is_found(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tamper(folder: Path) -> None:
        file = folder / "config.json"
        values = json.loads(file.read_text())
        file.write_text(json.dumps({**values, "pooling": "first"}))

    after_saving(monkeypatch, tamper)
    failing("proof.reload_differs")


def test_a_saved_tokenizer_that_differs_is_found(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is right behind a tokenizer that is wrong answers wrongly all the same."""

    def tamper(folder: Path) -> None:
        file = folder / "tokenizer.json"
        values = json.loads(file.read_text())
        vocabulary = values["model"]["vocab"]
        vocabulary["the"], vocabulary["never"] = vocabulary["never"], vocabulary["the"]
        file.write_text(json.dumps(values))

    after_saving(monkeypatch, tamper)
    failing("proof.reload_differs")


# --- What is shown -------------------------------------------------------------


def test_a_sound_run_tells_what_was_shown(finished: Run, tiny: Any) -> None:
    proof = finished.results["proof"]
    weights = load_file(finished.model / "model.safetensors")
    assert proof["frozen_weights"] + proof["trainable_weights"] == len(weights)
    assert proof["frozen_moved"] == 0 < proof["frozen_weights"]
    assert proof["trainable_moved"] == proof["trainable_weights"] > 0
    assert proof["all_finite"] is True
    assert proof["reloaded_examples"] == min(EXAMPLES, 12)
    assert proof["reloaded_difference"] <= 1e-5
    before = load_file(Path(tiny("bert")) / "model.safetensors")
    shared = [name for name in before if f"bert.{name}" in weights]
    kept = [name for name in shared if torch.equal(before[name], weights[f"bert.{name}"])]
    assert len(kept) == proof["frozen_weights"]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Linear(2, 2, bias=False)
        self.middle = nn.Linear(2, 2, bias=False)
        self.top = nn.Linear(2, 2, bias=False)


def test_weights_are_told_apart_by_whether_they_ever_train() -> None:
    """Not by whether they train now: gradual unfreezing registers all up front."""
    model: Any = Small().requires_grad_(False)
    groups = [ParameterGroup("top", [model.top.weight]), ParameterGroup("m", [model.middle.weight])]
    before = WeightHashes.of(model, groups)
    assert before.trainable == {"top.weight", "middle.weight"}
    assert before.hashes == hash_weights(model.named_parameters())
    for parameter in (model.low.weight, model.middle.weight):
        parameter.add_(1)
    moved = compare_weights(model, before)
    assert (moved.frozen, moved.trainable, moved.finite) == (
        ["low.weight"],
        ["middle.weight"],
        True,
    )


def test_weights_that_stayed_are_not_said_to_have_moved() -> None:
    model: Any = Small()
    before = WeightHashes.of(model, [ParameterGroup("top", [model.top.weight])])
    moved = compare_weights(model, before)
    assert (moved.frozen, moved.trainable, moved.finite) == ([], [], True)


def test_a_frozen_weight_that_is_not_finite_is_seen_too() -> None:
    model: Any = Small().requires_grad_(False)
    before = WeightHashes.of(model, [])
    model.low.weight[0, 0] = float("-inf")
    assert not compare_weights(model, before).finite


def test_long_texts_in_several_rows_are_proved_by_their_rows(causal: Any, tmp_path: Path) -> None:
    """Rows know the text they came from; taken for texts themselves, they would be cut again."""
    rows = [{"text": " ".join(row["text"] for row in make_rows(6, seed=i))} for i in range(40)]
    stories = write_rows(tmp_path / "stories.jsonl", rows)
    run = tune(
        causal("llama"),
        stories,
        "lora",
        tmp_path / "run",
        task={"type": "generation", "max_length": 16, "scored_examples": 0},
        training={"max_steps": 1, "num_train_epochs": "auto", "eval_strategy": "no"},
    )
    assert run.results["proof"]["reloaded_examples"] > EXAMPLES
    assert run.results["proof"]["reloaded_difference"] < 1e-4
