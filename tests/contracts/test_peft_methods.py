"""Every method of PEFT's on a family of each kind: it trains, saves and merges, or is refused.

What a later PEFT adds is tried here by itself; the two that are quick have little in common.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resuming import saved_and_read
from support import (
    build,
    encode,
    fit,
    job_for,
    loaded_for,
    logits,
    make_rows,
    short_tune,
    strategy_of,
)
from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.run_export import export_run
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.snapshot import Snapshot
from welltuned.strategies.peft_library.methods import possible_methods
from welltuned.training.forecast import rehearsal
from welltuned.training.forecast.rehearsal import Rehearsal

# FRoD's core is sparse, of which torch tells every program once.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
SMALL: dict[str, dict[str, Any]] = {
    "c3a": {"block_size": 16},
    "fourierft": {"n_frequency": 100},
    "miss": {"r": 4},
    "psoft": {"r": 8},
    "road": {"group_size": 16},
    "shira": {"r": 4},
    "vblora": {"vector_length": 16},
    "waveft": {"n_frequency": 32},
}
"""Options that tiny layers need: PEFT's own are for large ones."""
LINEAR_ONLY = {
    "adamss", "beft", "boft", "c3a", "delora", "glora", "hra", "lily", "loha", "lokr", "miss",
    "oft", "osf", "peanut", "psoft", "road", "shira", "supertuning",
}  # fmt: skip
"""Methods that PEFT does not put into GPT-2's layers."""
STEPS_READ_VALUES = {"fourierft", "frod", "shira", "vblora"}
"""Methods whose steps ask what their weights are: no plan can rehearse them, and it says so."""
QUICK = {("ia3", "bert"), ("ia3", "gpt2"), ("oft", "llama"), ("oft", "gpt2")}
TEXTS = [row["text"] for row in make_rows(12, seed=9)]
STEPS = {"num_train_epochs": "auto", "max_steps": 3, "learning_rate": 1e-2}

each_pair = pytest.mark.parametrize(
    ("method", "family"),
    [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow)
        for pair in ((m, f) for m in possible_methods() for f in ("bert", "llama", "gpt2"))
    ],
)


def options_of(method: str) -> dict[str, Any]:
    return {"type": "peft", "method": method, **SMALL.get(method, {})}


@pytest.fixture(scope="module")
def tuned(tiny: Any, few: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`tuned(method, family)`: a run of three steps, made once; None where it is refused."""

    @cache
    def make(method: str, family: str) -> Any:
        if method in LINEAR_ONLY and family == "gpt2":
            return None
        folder = tmp_path_factory.mktemp(f"{method}-{family}") / "run"
        return short_tune(tiny(family), few, options_of(method), folder, training=STEPS)

    return make


@each_pair
def test_layers_that_it_does_not_support_are_refused(method: str, family: str, tiny: Any) -> None:
    _, anatomy, _ = build(tiny(family), {"type": "full"})
    faults = list(strategy_of(options_of(method)).check(anatomy))
    assert bool(faults) == (method in LINEAR_ONLY and family == "gpt2"), faults
    assert all(fault.code == "strategy.peft_unsupported" for fault in faults)
    assert all(fault.values["reason"] for fault in faults)


@each_pair
def test_a_run_proves_what_it_promises(method: str, family: str, tuned: Any) -> None:
    """Nothing frozen has moved, the head has, and what is saved answers as what was trained."""
    run = tuned(method, family)
    if run is None:
        return
    proof = run.results["proof"]
    assert proof["frozen_moved"] == 0 and proof["all_finite"]
    assert 0 < proof["trainable_moved"] <= proof["trainable_weights"]
    assert proof["reloaded_difference"] <= 1e-5


@each_pair
def test_peft_alone_loads_it_and_merging_changes_no_answer(
    method: str, family: str, tuned: Any, tmp_path: Path
) -> None:
    run = tuned(method, family)
    if run is None:
        return
    artifact = load_artifact(run.model)
    batch = dict(artifact.tokenizer(TEXTS, padding=True, return_tensors="pt"))
    before = logits(artifact.model, batch)
    strategy = artifact.manifest.strategy
    assert type(artifact.model).__module__.startswith("peft.")
    with strategy.merged_for_inference(artifact.model):
        torch.testing.assert_close(logits(artifact.model, batch), before, atol=1e-5, rtol=1e-5)
    assert torch.equal(logits(artifact.model, batch), before), "as it was, bit for bit"
    if strategy.merge_refusal is None:
        merged = strategy.merge(artifact.model)
        torch.testing.assert_close(logits(merged, batch), before, atol=1e-5, rtol=1e-5)
        assert not any("base_layer" in name for name in merged.state_dict())


@each_pair
def test_what_it_changes_at_first_is_as_it_says(method: str, family: str, tiny: Any) -> None:
    if method in LINEAR_ONLY and family == "gpt2":
        return
    batch = encode(tiny(family), TEXTS)
    plain = logits(build(tiny(family), {"type": "full"})[0], batch)
    model, _, strategy = build(tiny(family), options_of(method))
    moved = float((logits(model, batch) - plain).abs().max())
    assert (moved < 1e-6) == strategy.starts_unchanged
    with strategy.base_model(model):
        torch.testing.assert_close(logits(model, batch), plain, atol=1e-6, rtol=1e-6)


@each_pair
def test_the_engines_agree(method: str, family: str, tiny: Any, few: str, tmp_path: Path) -> None:
    if method in LINEAR_ONLY and family == "gpt2":
        return
    losses = []
    for engine in (torch_loop, hf_trainer):
        job = job_for(tiny(family), few, options_of(method), training=STEPS)
        job.folder = tmp_path
        outcome = fit(engine, job)
        losses.append({n: w.detach().clone() for n, w in job.model.named_parameters()})
        assert outcome.steps == 3
    for name, weight in losses[0].items():
        torch.testing.assert_close(losses[1][name], weight, atol=1e-6, rtol=1e-5)


@each_pair
def test_a_forecast_counts_what_trains(method: str, family: str, tiny: Any, few: str) -> None:
    if method in LINEAR_ONLY and family == "gpt2":
        return
    real = loaded_for(tiny(family), few, options_of(method), training=STEPS)
    if method in STEPS_READ_VALUES:
        with pytest.raises(RuntimeError):  # which a plan tells as its reason
            Rehearsal.of(real.prepared, real.config.strategy, torch.device("cpu")).step(
                [np.array([0, 1])]
            )
        return
    planned = Rehearsal.of(real.prepared, real.config.strategy, torch.device("cpu"))
    trains = [weight for group in real.groups for weight in group.parameters]
    assert planned.trainable == sum(weight.numel() for weight in trains)
    trace = planned.step([np.array([0, 1])])
    assert trace.peak > planned.weight_bytes


def test_weights_are_made_up_for_a_method_that_reads_them_but_not_for_a_large_model(
    tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loaded_for(tiny("bert"), few, options_of("adamss"), training=STEPS)
    asked = real.prepared, real.config.strategy, torch.device("cpu")
    planned = Rehearsal.of(*asked)
    assert all(weight.is_meta for weight in planned.model.parameters())
    monkeypatch.setattr(rehearsal, "_MOST_MADE_UP", planned.weights // 2)
    with pytest.raises(NotImplementedError):
        Rehearsal.of(*asked)


@pytest.mark.parametrize(
    "strategy",
    [{"type": "bitfit"}, options_of("ia3")]
    + [
        pytest.param(options_of(method), marks=pytest.mark.slow, id=method)
        for method in possible_methods()
    ],
    ids=lambda strategy: strategy.get("method", "bitfit"),
)
def test_it_goes_on_bit_for_bit(
    strategy: dict[str, Any], tiny: Any, few: str, tmp_path: Path
) -> None:
    """What a snapshot holds, with the seed, is all that there is."""
    found: list[Snapshot] = []
    asked = {**STEPS, "max_steps": 4, "save_steps": 2, "eval_strategy": "no"}
    whole, later = (job_for(tiny("bert"), few, strategy, training=asked) for _ in range(2))
    fit(
        torch_loop,
        replace(whole, save=lambda snapshot: found.append(saved_and_read(snapshot, tmp_path))),
    )
    fit(torch_loop, replace(later, start=found[0]))
    assert found[0].step == 2
    others = dict(later.model.named_parameters())
    assert all(torch.equal(others[name], w) for name, w in whole.model.named_parameters())


def test_one_that_is_merged_is_exported_as_a_plain_model(tuned: Any, tmp_path: Path) -> None:
    target = export_run(tuned("oft", "llama").folder, "plain", tmp_path / "plain")
    assert (target / "model.safetensors").exists()


def test_one_that_cannot_be_merged_stays_as_it_is(tiny: Any) -> None:
    model, _, strategy = build(tiny("bert"), options_of("lily"))
    assert strategy.merge_refusal is not None
    with strategy.merged_for_inference(model):
        assert logits(model, encode(tiny("bert"), TEXTS)).isfinite().all()
