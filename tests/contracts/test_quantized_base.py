"""A base in few bits, from the config to the export: what trains, is saved, and is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel

import welltuned as wt
from resuming import Killed, Killing, left_by
from support import (
    STRATEGIES,
    config_values,
    fit,
    job_for,
    loaded_for,
    logits,
    short_tune,
)
from welltuned.artifact.save_load import load_artifact
from welltuned.config import run_config_from
from welltuned.deployment.export.run_export import export_run
from welltuned.engines import hf_trainer, torch_loop
from welltuned.errors import InputError
from welltuned.models.quantization import held_tensors, scales_of
from welltuned.runs import Run
from welltuned.runs.export_schema import read_export
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.preparation.prepare import prepare

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
KINDS = ("nf4", "int8")
LORA: dict[str, Any] = {"type": "lora", "r": 4}
BESIDE = ("lora", "prompt", "prefix", "houlsby", "parallel")
"""Strategies that leave the pretrained weights as they are."""


def base(tiny: Any, kind: str, family: str = "llama") -> dict[str, str]:
    return {"name": tiny(family, **SIZES), "quantization": kind}


def steps(number: int) -> dict[str, Any]:
    return {"max_steps": number, "num_train_epochs": "auto"}


@pytest.fixture(scope="module")
def tuned(tiny: Any, few: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of LoRA on a base in nf4. To be read, not changed."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    return short_tune(base(tiny, "nf4"), few, LORA, folder, task={"pooling": "model"})


def answers(model: Any) -> torch.Tensor:
    """Logits of two rows of words."""
    ids_BT = torch.arange(6, 30).reshape(2, 12)
    found: torch.Tensor = logits(
        model, {"input_ids": ids_BT, "attention_mask": torch.ones_like(ids_BT)}
    )
    return found


# --- What trains --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "strategy"), [("int8", "lora"), *(("nf4", strategy) for strategy in BESIDE)]
)
def test_what_trains_is_in_float32_beside_a_frozen_base(
    kind: str, strategy: str, tiny: Any, few: str
) -> None:
    loaded = loaded_for(base(tiny, kind), few, STRATEGIES[strategy], training=steps(2))
    named = dict(loaded.model.named_parameters())
    held = {name for name, weight in named.items() if scales_of(weight)}
    assert len(held) == sum(len(block.linears) for block in loaded.prepared.anatomy.blocks)
    before = {name: named[name].data.clone() for name in held}
    job = loaded.job()
    assert fit(torch_loop, job).steps
    for name, weight in named.items():
        assert weight.dtype == torch.float32 if weight.requires_grad else weight.grad is None
        assert name not in held or torch.equal(weight.data, before[name])
    trained = {id(weight) for group in loaded.groups for weight in group.parameters}
    assert any(
        ".score." in name or "classifier" in name for name, w in named.items() if id(w) in trained
    )


def test_both_engines_learn_the_same(tiny: Any, few: str, tmp_path: Path) -> None:
    found = []
    for engine in (torch_loop, hf_trainer):
        job = job_for(base(tiny, "nf4"), few, LORA, training=steps(3))
        job.folder = tmp_path
        fit(engine, job)
        found.append([weight.detach() for group in job.groups for weight in group.parameters])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("kind", "most"), [("nf4", 0.05), ("int8", 0.005)])
def test_the_loss_is_near_that_of_the_base_as_it_is(
    kind: str, most: float, tiny: Any, few: str
) -> None:
    """Of every step, from the same start of what trains, in the same order of examples."""
    losses = []
    for model in (base(tiny, kind), tiny("llama", **SIZES)):
        seen: list[float] = []

        class Noting(wt.Observer):
            def stepped(self, step: Any, seen: list[float] = seen) -> None:
                seen.append(step.loss)

        fit(
            torch_loop,
            job_for(model, few, LORA, Noting(), training={"learning_rate": 1e-3, **steps(6)}),
        )
        losses.append(seen)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=most)


def test_an_interrupted_run_ends_as_one_that_was_not(tiny: Any, few: str, tmp_path: Path) -> None:
    training = {"num_train_epochs": 1, "save_steps": 1}
    folders = tmp_path / "whole", tmp_path / "killed"
    parts: dict[str, Any] = {"task": {"pooling": "model"}, "training": training}
    parts["evaluation"] = {"untrained": False}
    configs = [config_values(base(tiny, "nf4"), few, LORA, folder, **parts) for folder in folders]
    whole = wt.train(configs[0])
    with pytest.raises(Killed):
        wt.train(configs[1], observer=Killing(4))
    assert left_by(wt.resume(folders[1])) == left_by(whole)


# --- What is saved ------------------------------------------------------------------


def test_a_run_says_what_its_base_was_held_in(tuned: Run) -> None:
    assert tuned.results["start"]["quantization"] == "nf4"
    assert tuned.results["proof"]["reloaded_difference"] == 0
    codes = [note["code"] for note in tuned.read("data.json")["notes"]]
    assert "model.base_quantized" in codes
    assert not list(tuned.model.glob("model*.safetensors"))


def test_it_is_loaded_as_it_was_trained_unless_told_otherwise(tuned: Run) -> None:
    as_trained, as_read = (load_artifact(tuned.model, quantized=told) for told in (True, False))
    held = [any(map(scales_of, one.model.parameters())) for one in (as_trained, as_read)]
    assert held == [True, False]
    assert as_trained.merged() is as_trained
    whole = as_read.merged().model
    assert not hasattr(whole, "peft_config")
    torch.testing.assert_close(answers(whole), answers(as_read.model), atol=1e-5, rtol=1e-4)
    assert not torch.equal(answers(as_trained.model), answers(as_read.model))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [None, "nf4"])
def test_plain_peft_loads_it_onto_either_base(kind: str | None, tuned: Run, tiny: Any) -> None:
    """That of `BitsAndBytesConfig` computes in bf16 where the processor can."""
    folder, options = tiny("llama", **SIZES), {}
    if kind is not None:
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=True
        )
    config = transformers.AutoConfig.from_pretrained(tuned.model)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, config=config, ignore_mismatched_sizes=True, **options
    )
    found = answers(PeftModel.from_pretrained(model, str(tuned.model)))
    ours = load_artifact(tuned.model, quantized=kind is not None).model
    torch.testing.assert_close(found, answers(ours), atol=1e-5 if kind is None else 0.1, rtol=0.05)


def test_a_merge_is_onto_the_base_as_it_is_and_tells_its_drift(tuned: Run, tmp_path: Path) -> None:
    target = export_run(tuned, "plain", tmp_path / "plain", drop=100)
    merged = transformers.AutoModelForSequenceClassification.from_pretrained(target)
    as_read = load_artifact(tuned.model, quantized=False).merged().model
    torch.testing.assert_close(answers(merged), answers(as_read), atol=1e-5, rtol=1e-4)
    told = read_export(target)
    assert "nf4" in told["recipe"] and told["proof"] is not None
    assert 0 < told["proof"]["agreement"]["largest"] < 1


def test_a_run_that_goes_on_from_it_says_what_was_merged(
    tuned: Run, few: str, tmp_path: Path
) -> None:
    config = run_config_from(config_values(str(tuned.folder), few, LORA, tmp_path / "next"))
    codes = [note["code"] for note in prepare(config).data.facts.notes]
    assert {"model.adapter_merged", "model.adapter_was_quantized"} <= set(codes)


# --- What is foreseen, and what is refused --------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_knows_the_bytes_of_the_loaded_model(kind: str, tiny: Any, few: str) -> None:
    loaded = loaded_for(base(tiny, kind), few, LORA)
    foreseen = Rehearsal.of(loaded.prepared, loaded.config.strategy, loaded.device)
    held = {id(tensor): tensor.nbytes for tensor in held_tensors(loaded.model)}
    assert foreseen.weight_bytes == sum(held.values())
    whole = loaded_for(tiny("llama", **SIZES), few, LORA)
    plain = Rehearsal.of(whole.prepared, whole.config.strategy, whole.device)
    assert foreseen.weights == plain.weights
    assert foreseen.read_bytes == plain.weight_bytes
    trace = foreseen.step([np.array([0, 1])])
    assert trace.flops > 0 and trace.peak > foreseen.weight_bytes


@pytest.mark.parametrize(
    "strategy",
    [*(STRATEGIES[name] for name in ("full", "partial", "head", "gradual")),
     {"type": "lora", "init_lora_weights": "pissa"}],
    ids=str,
)  # fmt: skip
def test_what_trains_the_weights_themselves_is_refused(
    strategy: Any, tiny: Any, few: str, tmp_path: Path
) -> None:
    config = config_values(base(tiny, "int8"), few, strategy, tmp_path / "run")
    with pytest.raises(InputError) as caught:
        prepare(run_config_from(config))
    assert [fault.code for fault in caught.value.faults] == ["strategy.base_quantized"]


def test_states_of_frozen_blocks_are_kept_for_a_quantised_base_too(tiny: Any, few: str) -> None:
    """Only the top block has LoRA, so the other runs once for each text."""
    upper = {**LORA, "target_modules": r".*layers\.1\..*q_proj"}
    found = []
    for keeps in (True, False):
        parts = {"training": {"cache_frozen_blocks": keeps, "num_train_epochs": 1}}
        job = job_for(base(tiny, "nf4"), few, upper, **parts)
        fit(torch_loop, job)
        found.append([weight.detach() for group in job.groups for weight in group.parameters])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
