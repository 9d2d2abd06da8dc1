"""A family whose layers share one set of weights, as ALBERT's do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import refused
from support import STRATEGIES, build, encode, logits, make_rows, short_tune, tune
from welltuned.models import loading

TEXTS = [row["text"] for row in make_rows(6, seed=9)]
TAKEN = [name for name in STRATEGIES if name not in ("partial", "gradual")]
QUICK = ("head", "prefix")


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in TAKEN],
)
def test_a_run_proves_what_it_promises(
    strategy: str, tiny: Callable[..., str], few: str, tmp_path: Path
) -> None:
    run = short_tune(tiny("albert"), few, STRATEGIES[strategy], tmp_path / "run")
    proof = run.results["proof"]
    assert proof["frozen_moved"] == 0 and proof["all_finite"]
    assert proof["trainable_moved"] == proof["trainable_weights"] > 0
    assert proof["reloaded_difference"] <= 1e-5


@pytest.mark.parametrize("strategy", TAKEN)
def test_every_trainable_weight_gets_a_gradient_and_layers_have_one_set(
    strategy: str, tiny: Callable[..., str]
) -> None:
    model, anatomy, _ = build(tiny("albert"), STRATEGIES[strategy])
    model(**encode(tiny("albert"), TEXTS)).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert {anatomy.region(anatomy.depth(name)) for name, _ in model.named_parameters()} <= {
        *("head", "block 0", "embeddings"),
    }


@pytest.mark.parametrize("strategy", ["lora", "houlsby", "parallel"])
def test_injected_parts_change_nothing_at_first(strategy: str, tiny: Callable[..., str]) -> None:
    batch = encode(tiny("albert"), TEXTS)
    before = logits(build(tiny("albert"), {"type": "full"})[0], batch)
    assert torch.equal(before, logits(build(tiny("albert"), STRATEGIES[strategy])[0], batch))


@pytest.mark.parametrize("strategy", ["partial", "gradual"])
def test_strategies_that_need_blocks_are_refused_before_weights_load(
    strategy: str,
    tiny: Callable[..., str],
    few: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: pytest.fail("weights were loaded"))
    told: dict[str, Any] = {"layers": 4, "blocks": 1, "family": "albert"}
    with refused("strategy.layers_share_weights", **told):
        tune(tiny("albert"), few, STRATEGIES[strategy], tmp_path / "run")


def test_a_layer_probe_is_refused(tiny: Callable[..., str], few: str, tmp_path: Path) -> None:
    with refused("probe.blocks_unclear", family="albert"):
        tune(tiny("albert"), few, "lora", tmp_path / "run", evaluation={"probe": True})
