"""Which GPUs train a model that is only a config: 7 billion weights, and 70."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_memory import config_for
from support import config_values
from welltuned.config import run_config_from
from welltuned.training.forecast.gpu_plan import GpuPlan, plan_gpus, rehearse_ways
from welltuned.training.forecast.gpus import Gpus

GB = 1e9


def planned(config: Any, gpus: str) -> GpuPlan:
    return plan_gpus(config, Gpus.read(gpus), lambda what, done, total: None)


def taken(plan: GpuPlan, base: str, recomputes: bool, sharded: bool) -> Any:
    """The memory of one way."""
    [row] = [
        row
        for row in plan.rows
        if (row.way.base, row.way.recomputes, row.way.sharded) == (base, recomputes, sharded)
    ]
    return row.memory


def test_every_way_of_a_small_model(tiny: Any, few: str, tmp_path: Path) -> None:
    values = config_values(
        tiny("bert"), few, {"type": "lora"}, tmp_path / "run", task={"pooling": "mean"}
    )
    rehearsed = rehearse_ways(run_config_from(values), lambda what, done, total: None)
    plan = rehearsed.on(Gpus.read("2x24GB"))
    ways = {(row.way.base, row.way.recomputes, row.way.sharded) for row in plan.rows}
    assert len(ways) == len(plan.rows) == 2 * 2 * 2 + 2 * 2  # few bits are not shared
    assert plan.rows[0].asked and plan.rows[0].fits and plan.enough == 1
    whole, shared = (taken(plan, "float32", False, sharded) for sharded in (False, True))
    assert shared.weights == -(-whole.weights // 2)
    assert shared.optimizer == pytest.approx(whole.optimizer / 2, abs=1)
    assert shared.in_use > 0 and whole.in_use == 0
    halved = taken(plan, "bfloat16", False, False)
    assert whole.weights / 2 < halved.weights < whole.weights  # what trains stays as it is
    assert not (tmp_path / "run").exists()
    alone = rehearsed.on(Gpus.read("24GB"))
    assert not any(row.way.sharded for row in alone.rows)
    json.dumps(plan.as_dict())


def test_whole_weights_are_in_full_precision_whatever_the_base(
    tiny: Any, few: str, tmp_path: Path
) -> None:
    values = config_values(tiny("bert"), few, "full", tmp_path / "run", task={"pooling": "mean"})
    plan = planned(run_config_from(values), "2x1GB")
    assert {row.way.base for row in plan.rows} == {"float32"}
    assert not any(row.fits for row in plan.rows) and plan.enough is None  # all is reserved


@pytest.mark.slow
@pytest.mark.timeout(900)  # every operation of 32 blocks, or of 80, a dozen times
def test_seven_billion_weights(tmp_path: Path) -> None:
    full = planned(config_for("llama-2-7b", {"type": "full"}, tmp_path), "8x80GB")
    assert full.parameters == full.trainable == 6_738_415_616
    shared = taken(full, "float32", True, True)
    assert shared.weights + shared.optimizer == pytest.approx(12 * full.parameters / 8, rel=0.01)
    assert shared.total < 40 * GB < 80 * GB < taken(full, "float32", True, False).total
    lora = planned(config_for("llama-2-7b", {"type": "lora", "r": 16}, tmp_path), "24GB")
    assert taken(lora, "bfloat16", True, False).weights == pytest.approx(13.6 * GB, rel=0.02)
    assert taken(lora, "nf4", True, False).weights == pytest.approx(4.0 * GB, rel=0.08)
    assert taken(lora, "nf4", True, False).total < 12 * GB
    assert taken(lora, "float32", True, False).total > 24 * GB


@pytest.mark.slow
@pytest.mark.timeout(900)  # every operation of 32 blocks, or of 80, a dozen times
def test_seventy_billion_weights(tmp_path: Path) -> None:
    lora = {"type": "lora", "r": 16}
    eight = planned(config_for("llama-3-70b", lora, tmp_path), "8x80GB")
    assert eight.parameters - eight.trainable == 70_553_706_496
    assert 80 * GB > taken(eight, "bfloat16", True, True).total > 17 * GB
    assert taken(eight, "bfloat16", True, False).total > 80 * GB
    assert taken(eight, "nf4", True, False).total == pytest.approx(45 * GB, rel=0.15)
    full = planned(config_for("llama-3-70b", {"type": "full"}, tmp_path), "8x80GB")
    assert not any(row.fits for row in full.rows) and full.enough in (16, 32)


def test_the_command_prints_it(tiny: Any, few: str, tmp_path: Path, call: Any) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {tiny('bert')}\ndata: {few}\ntask: {{pooling: mean}}\nstrategy: full\n"
    )
    status, out, _ = call("plan", config, "gpus=2x24GB", "--json")
    assert status == 0 and json.loads(out)["gpus"] == {"number": 2, "memory": 24e9}
    status, out, _ = call("plan", config, "gpus=2x24GB")
    assert status == 0 and "1/2 (fsdp2)" in out and "GPUs        2 of 24.0 GB" in out
    status, _, err = call("plan", config, "gpus=two")
    assert status == 2 and "8x80GB" in err
