"""`welltuned plan`: all strategies, limits, and what to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import config_values
from welltuned.planning import plan as module
from welltuned.preparation import load_config

TYPES = ["full", "partial", "gradual", "lora", "prompt", "prefix", "adapter"]


@pytest.fixture
def file(tiny: Any, sentiment: str, tmp_path: Path) -> Path:
    values = config_values(
        tiny("bert"), sentiment, {"type": "full"}, tmp_path / "run", task={"pooling": "mean"}
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "config.yaml"


@pytest.mark.usefixtures("known")
def test_every_strategy_is_told_the_asked_one_first(call: Any, file: Path) -> None:
    status, out, err = call("plan", file)
    assert status == 0, err
    first = [line.split()[0] for line in out.splitlines()[1 : len(TYPES) + 1]]
    assert first[0] == "full" and sorted(first) == sorted(TYPES)
    assert "full (asked)" in out and "memory" in out and "optimizer" in out
    assert not (file.parent / "run").exists()


@pytest.mark.usefixtures("known")
def test_a_plan_for_programs(call: Any, file: Path) -> None:
    status, out, _ = call("plan", file, "strategy=lora", "memory=64GiB", "time=1h", "--json")
    found = json.loads(out)
    rows = {row["name"]: row for row in found["strategies"]}
    assert status == 0 and rows["lora"]["asked"] and rows["lora"]["fits"]
    assert found["limits"]["time"] == 3600 and found["advice"] == []
    assert rows["full"]["memory"]["optimizer"] > rows["lora"]["memory"]["optimizer"]
    parts = rows["full"]["memory"]
    summed = sum(v for k, v in parts.items() if k not in ("total", "activations", "roles"))
    assert parts["total"] == summed + sum(parts["activations"].values())


@pytest.mark.usefixtures("known")
def test_what_does_not_fit_is_told_with_what_to_change(call: Any, file: Path) -> None:
    plan = json.loads(call("plan", file, "training.per_device_train_batch_size=16", "--json")[1])
    needed = plan["strategies"][0]["memory"]["total"]
    limit = f"memory={(needed - 30_000) / 1e3:.0f}kB"
    status, out, _ = call("plan", file, "training.per_device_train_batch_size=16", limit)
    assert status == 0 and "no: memory" in out
    advice = next(line for line in out.splitlines() if line.startswith("change"))
    changes = [word for word in advice.split() if word.startswith("training.")]
    assert "to fit into memory with the same steps" in advice and changes
    assert load_config(str(file), changes).training.examples_per_step == 16
    again = json.loads(call("plan", file, *changes, limit, "--json")[1])
    assert "memory" not in again["strategies"][0]["exceeds"]


@pytest.mark.usefixtures("known")
def test_too_little_time_asks_for_fewer_epochs(call: Any, file: Path) -> None:
    plan = json.loads(call("plan", file, "--json")[1])["strategies"][0]
    seconds = plan["evaluation_seconds"] + plan["train_seconds"] / 2
    status, out, _ = call("plan", file, f"time={seconds:.4f}s")
    (change,) = [word for word in out.split() if word.startswith("training.num_train_epochs=")]
    assert status == 0 and 0 < float(change.partition("=")[2]) < 3


@pytest.mark.usefixtures("known")
def test_a_strategy_that_cannot_work_says_why(call: Any, tiny: Any, file: Path) -> None:
    status, out, _ = call("plan", file, f"model={tiny('bert', max_position_embeddings=24)}",
                          "strategy.type=full", "task.max_length=24")  # fmt: skip
    assert status in (0, 2) and ("cannot" in out or status == 2 or "full" in out)


def test_bad_input_is_one_clear_line(call: Any, file: Path) -> None:
    for arguments, what in (
        (["model=/nowhere/at/all"], "there is no such folder"),
        (["memory=lots"], "write such as memory=4GiB"),
        (["trainnig.seed=1"], "training"),
    ):
        status, out, err = call("plan", file, *arguments)
        assert (status, out) == (2, "") and len(err.splitlines()) == 1, err
        assert what in err


def test_a_model_whose_config_cannot_be_read_is_one_clear_line(
    call: Any, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{ no json")
    status, out, err = call("plan", file, f"model={tmp_path / 'broken'}")
    assert (status, out) == (2, "") and len(err.splitlines()) == 1
    assert "broken' cannot be read" in err


@pytest.mark.usefixtures("known")
def test_what_cannot_be_rehearsed_is_told_and_stops_nothing(
    call: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.forecast

    def fragile(prepared: Any, strategy: Any, *rest: Any) -> Any:
        if strategy.type == "prefix":
            raise NotImplementedError("no kernel for meta")
        return real(prepared, strategy, *rest)

    monkeypatch.setattr(module, "forecast", fragile)
    status, out, _ = call("plan", file)
    assert status == 0 and "its steps cannot be rehearsed: no kernel for meta" in out
