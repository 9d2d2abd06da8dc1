"""BitFit: biases and the head train, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faults import codes
from support import build, short_tune, strategy_of
from welltuned.artifact.save_load import load_artifact

BITFIT = {"type": "bitfit"}


@pytest.mark.parametrize("family", ["bert", "gpt2", "qwen2"])
def test_every_bias_and_the_head_train(family: str, tiny: Any) -> None:
    model, anatomy, strategy = build(tiny(family), BITFIT)
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    wanted = {n for n, _ in model.named_parameters() if n.endswith("bias") or not anatomy.depth(n)}
    assert trains == wanted
    below = {name for name in trains if anatomy.depth(name)}
    weights = dict(model.named_parameters())
    assert anatomy.biases == sum(weights[name].numel() for name in below) > 0
    assert not list(strategy.check(anatomy))


def test_a_model_without_biases_is_refused(tiny: Any) -> None:
    _, anatomy, _ = build(tiny("llama"), {"type": "full"})
    assert anatomy.biases == 0
    assert codes(strategy_of(BITFIT).check(anatomy)) == ["strategy.no_biases"]
    assert not list(strategy_of(BITFIT).check(replace(anatomy, biases=1)))


def test_its_artifact_is_a_whole_model(tiny: Any, few: str, tmp_path: Path) -> None:
    steps = {"max_steps": 3, "num_train_epochs": "auto"}
    task = {"pooling": "model"}
    run = short_tune(tiny("bert"), few, BITFIT, tmp_path / "run", task=task, training=steps)
    proof = run.results["proof"]
    assert proof["frozen_moved"] == 0 and proof["trainable_moved"] == proof["trainable_weights"]
    assert (run.model / "model.safetensors").exists()
    assert type(load_artifact(run.model).model).__module__.startswith("transformers.")
