"""WiSE-FT: on the line between the weights before and after training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from faults import refused
from support import STRATEGIES, encode, logits, make_rows, session_for, tune
from welltuned.protection import FinishContext, WiseFT
from welltuned.protection.wise_ft import WeightPath, choose_alpha
from welltuned.training import retention_steps
from welltuned.training.observer import Observer

MEAN = {"pooling": "mean"}
TEXTS = [row["text"] for row in make_rows(6, seed=12)]


def stirred(session: Any) -> dict[str, torch.Tensor]:
    """As if trained; returns the weights then."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in session.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return {name: value.detach().clone() for name, value in session.model.named_parameters()}


def way_of(session: Any) -> tuple[Any, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(the way, the weights at its start, the weights at its end)."""
    before = {name: value.detach().clone() for name, value in session.model.named_parameters()}
    untouched = retention_steps.measure_base(session, Observer())
    after = stirred(session)
    scene = retention_steps._scene(session)
    end = FinishContext(scene, untouched.start, dict, lambda scores: 0.0, lambda: None)
    return WeightPath.of(end), before, after


@pytest.mark.parametrize("strategy", ["full", "partial", "gradual"])
def test_alpha_0_has_the_bits_of_before_and_1_those_of_after(
    strategy: str, tiny: Any, sentiment: str
) -> None:
    """Of what was there before; a new head stays as trained."""
    session = session_for(tiny("bert"), sentiment, STRATEGIES[strategy], protection="wise_ft")
    way, before, after = way_of(session)
    for alpha, expected in ((0.0, before), (1.0, after), (0.0, before)):
        way.go_to(alpha)
        for name, value in session.model.named_parameters():
            wanted = after if name.startswith("classifier") else expected
            assert torch.equal(value, wanted[name]), name
    way.go_to(0.25)
    name = "bert.encoder.layer.3.output.dense.weight"
    middle = 0.75 * before[name] + 0.25 * after[name]
    torch.testing.assert_close(session.model.get_parameter(name).data, middle)


def test_for_lora_alpha_scales_the_product(tiny: Any, sentiment: str) -> None:
    """0 computes as the pretrained weights do, 1 as the trained model, linearly between."""
    session = session_for(
        tiny("bert"), sentiment, {"type": "lora", "r": 3}, protection="wise_ft",
        task={"pooling": "mean"},
    )  # fmt: skip
    way, _, _ = way_of(session)
    batch = encode(tiny("bert"), TEXTS)
    tuned = logits(session.model, batch)
    layer = session.model.base_model.model.bert.encoder.layer[1].output.dense
    change = layer.get_delta_weight("default")
    way.go_to(0.0)
    assert not layer.get_delta_weight("default").any()
    trunk = session.model.base_model.model.bert
    at_zero = trunk(**batch).last_hidden_state
    with session.model.disable_adapter():
        assert torch.equal(at_zero, trunk(**batch).last_hidden_state)
    way.go_to(0.3)
    torch.testing.assert_close(layer.get_delta_weight("default"), 0.3 * change)
    way.go_to(1.0)
    assert torch.equal(logits(session.model, batch), tuned)


@pytest.mark.parametrize(
    ("values", "tolerance", "chosen"),
    [
        ([0.9, 0.5, 0.8, 0.7], 0.0, 0.5),
        ([0.0, 0.7, 0.8, 0.8], 0.0, 0.5),
        ([0.0, 0.796, 0.8, 0.7], 0.005, 0.25),
        ([0.0, 0.795, 0.8, 0.7], 0.005, 0.5),
        ([-9.0, -2.02, -2.005, -2.0], 0.005, 0.5),
        ([0.0, 0.1, 0.2, 0.9], 0.1, 1.0),
        ([0.0, float("inf"), 0.8, 0.7], 0.0, 0.5),
        ([0.0, *[float("nan")] * 3], 0.0, 1.0),
    ],
)
def test_the_smallest_alpha_near_the_best_is_chosen_and_never_0(
    values: list[float], tolerance: float, chosen: float
) -> None:
    """Losses come as negative numbers: higher is better."""
    assert choose_alpha((0.0, 0.25, 0.5, 1.0), values, tolerance) == chosen


def test_the_end_is_always_tried() -> None:
    assert WiseFT(alphas=(0.5, 0.0)).alphas == (0.0, 0.5, 1.0)
    for wrong in ((0.0,), (1.2,), (-0.1, 1.0)):
        with pytest.raises(ValidationError):
            WiseFT(alphas=wrong)


def test_a_run_is_saved_proved_and_told_at_the_chosen_alpha(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    protection = {"type": "wise_ft", "alphas": [0, 0.5], "tolerance": 0.9}
    run = tune(
        tiny("bert"), sentiment, {"type": "partial", "num_blocks": 2}, tmp_path / "run",
        task=MEAN, protection=protection, evaluation={"retention": "auto", "untrained": False},
    )  # fmt: skip
    wise = run.results["wise_ft"]
    assert wise["alpha"] == 0.5 and wise["metric"] == "macro_f1"
    assert [point["alpha"] for point in wise["curve"]] == [0, 0.5, 1]
    assert wise["curve"][0]["kept"] == pytest.approx(1, abs=1e-9), "the weights before"
    middle = wise["curve"][1]
    assert run.results["validation"]["macro_f1"] == middle["validation"]["macro_f1"]
    assert run.results["retention"]["kept"] == pytest.approx(middle["kept"])
    assert run.results["proof"]["frozen_moved"] == 0
    weights = load_file(run.model / "model.safetensors")
    last = load_file(next(run.checkpoints.iterdir()) / "weights.safetensors")
    start = dict(session_for(tiny("bert"), sentiment, "full").model.named_parameters())
    for name, tensor in last.items():
        middle = tensor if "classifier" in name else torch.lerp(start[name].data, tensor, 0.5)
        torch.testing.assert_close(weights[name], middle)
    html = run.report.read_text()
    assert "Between before and after" in html and "chosen: 0.5" in html


@pytest.mark.parametrize("protection", ["wise_ft", "l2sp", "ewc"])
@pytest.mark.parametrize("strategy", ["prompt", "prefix", "houlsby", "head"])
def test_where_no_pretrained_weight_moves_there_is_nothing_to_hold_on_to(
    strategy: str, protection: str, tiny: Any, sentiment: str
) -> None:
    with refused("protection.strategy_unsupported", protection=protection):
        session_for(tiny("bert"), sentiment, STRATEGIES[strategy], protection=protection)


@pytest.mark.parametrize(
    ("protection", "changes"),
    [
        ("wise_ft", {"use_dora": True}),
        ("l2sp", {"init_lora_weights": "pissa"}),
        ("l2sp", {"bias": "all"}),
        ("ewc", {}),
    ],
)
def test_changes_that_are_no_plain_products_are_refused(
    protection: str, changes: dict[str, Any], tiny: Any, sentiment: str
) -> None:
    strategy = {"type": "lora", "r": 2, **changes}
    with refused("protection.strategy_unsupported", protection=protection, strategy="lora"):
        session_for(tiny("bert"), sentiment, strategy, protection=protection)


def test_a_protection_is_named_once(tiny: Any, sentiment: str) -> None:
    with refused("protection.repeated", name="l2sp", number=2):
        session_for(tiny("bert"), sentiment, "full", protection=["l2sp", "l2sp"])
