"""The memory of one GPU among several, against what processes take that share the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forking import Forks, ranks
from measuring import measure_step_as_rank
from support import config_values, write_rows
from welltuned.config import run_config_from
from welltuned.training.forecast.gpu_plan import plan_gpus
from welltuned.training.forecast.gpus import Gpus
from welltuned.training.forecast.rank_memory import RankMemory

WITHIN = 0.15
"""How far off the foreseen peak may be, either way."""


@pytest.mark.parametrize(
    ("written", "number", "size"),
    [("8x80GB", 8, 80e9), ("24GB", 1, 24e9), ("2x24GiB", 2, 24 * 2**30)],
)
def test_gpus_are_read(written: str, number: int, size: float) -> None:
    assert Gpus.read(written) == Gpus(number, size)


@pytest.mark.parametrize("written", ["", "x", "8x", "x80GB", "0x80GB", "-1x80GB", "many", "8 GPUs"])
def test_what_is_no_number_of_gpus_is_said(written: str) -> None:
    with pytest.raises(ValueError):
        Gpus.read(written)


def test_what_comes_and_goes_is_spread() -> None:
    memory = RankMemory(100, 20, gradients=1000, in_use=1000, activations=1000, reserve=10)
    assert memory.total == 130 + 3150


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Large enough for tensors to count: 3.4 million weights in six blocks."""
    from transformers import AutoModelForCausalLM

    from support import make_config, make_tokenizer

    folder = tmp_path_factory.mktemp("measured")
    sizes = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6}
    config = make_config("llama", **sizes, vocab_size=2048, max_position_embeddings=256)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    make_tokenizer("decoder", "llama").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def long_answers(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [
        {"instruction": f"was it {i}", "output": " ".join(["good film"] * 30)} for i in range(40)
    ]
    return write_rows(tmp_path_factory.mktemp("data") / "long.jsonl", rows)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["full", "lora"])
@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("shares", [True, False])
def test_it_is_what_two_processes_take(
    shares: bool, recomputes: bool, strategy: str, model: str, long_answers: str,
    tmp_path: Path, forks: Forks,
) -> None:  # fmt: skip
    training: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "gradient_checkpointing": recomputes,
        "sharding": "fsdp2" if shares else None,
    }
    parts = {"task": {"type": "generation", "max_length": 64}, "training": training}
    values = config_values(model, long_answers, strategy, tmp_path / "run", **parts)
    asked = {"values": values, "out": str(tmp_path / "found.json")}
    assert ranks(forks, measure_step_as_rank, [asked] * 2) == [(0, None)] * 2
    measured = json.loads((tmp_path / "found.json").read_text())["peak"]
    plan = plan_gpus(run_config_from(values), Gpus(2, 24e9), lambda what, done, total: None)
    [row] = [row for row in plan.rows if row.asked]
    memory = row.memory
    foreseen = memory.total - memory.reserve
    assert foreseen == pytest.approx(measured, rel=WITHIN), memory
