"""`welltuned plan`: all strategies, limits, and what to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import config_values
from welltuned.errors import Fault
from welltuned.runs import Run, process_memory
from welltuned.strategies import Prefix
from welltuned.training.forecast import plan as module
from welltuned.training.forecast.forecast import forecast_run
from welltuned.training.forecast.limits import Limits
from welltuned.training.preparation.load_config import load_config

TYPES = ["full", "partial", "gradual", "lora", "prompt", "prefix", "adapter"]


@pytest.fixture
def file(tiny: Any, sentiment: str, tmp_path: Path) -> Path:
    values = config_values(
        tiny("bert"), sentiment, {"type": "full"}, tmp_path / "run", task={"pooling": "mean"}
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "config.yaml"


@pytest.fixture
def alone(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No strategy but the asked one, which saves most of a plan's time.

    Tests share a process, which grows from one plan to the next: that is kept out of them too.
    """
    monkeypatch.setattr(module, "_strategies", lambda asked: [asked])
    monkeypatch.setattr(process_memory, "held_at_start", lambda device: 300_000_000)


@pytest.mark.usefixtures("known")
def test_every_strategy_is_told_the_asked_one_first(call: Any, file: Path) -> None:
    status, out, err = call("plan", file)
    assert status == 0, err
    first = [line.split()[0] for line in out.splitlines()[1 : len(TYPES) + 1]]
    assert first[0] == "full" and sorted(first) == sorted(TYPES)
    assert "full (asked)" in out and "memory" in out and "optimizer" in out
    assert not (file.parent / "run").exists()


@pytest.mark.usefixtures("alone")
def test_a_plan_for_programs(call: Any, file: Path) -> None:
    status, out, _ = call("plan", file, "strategy=lora", "memory=64GiB", "time=1h", "--json")
    found = json.loads(out)
    (row,) = found["strategies"]
    assert status == 0 and row["name"] == "lora" and row["asked"] and row["fits"]
    assert found["limits"]["time"] == 3600 and found["advice"] == []
    parts = row["memory"]
    summed = sum(v for k, v in parts.items() if k not in ("total", "activations", "roles"))
    assert parts["total"] == summed + sum(parts["activations"].values())


@pytest.mark.usefixtures("alone")
def test_a_head_that_is_solved_for_reads_each_example_once(call: Any, file: Path) -> None:
    head = "strategy={type: partial, num_blocks: 0}"
    for rate, steps in (("auto", 0), ("1e-3", 24)):
        _, out, err = call("plan", file, head, f"training.learning_rate={rate}", "--json")
        (row,) = json.loads(out)["strategies"]
        assert row["steps"] == steps, err
        assert row["train_seconds"] > 0


@pytest.mark.usefixtures("alone")
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


@pytest.mark.usefixtures("alone")
def test_too_little_time_asks_for_fewer_epochs(call: Any, file: Path) -> None:
    plan = json.loads(call("plan", file, "--json")[1])["strategies"][0]
    seconds = plan["evaluation_seconds"] + plan["train_seconds"] / 2
    status, out, _ = call("plan", file, f"time={seconds:.4f}s")
    (change,) = [word for word in out.split() if word.startswith("training.num_train_epochs=")]
    assert status == 0 and 0 < float(change.partition("=")[2]) < 3


@pytest.mark.usefixtures("alone")
def test_a_strategy_that_cannot_work_says_why(
    call: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = Fault("strategy.attention_unsupported", "no attention to put a prefix into")
    monkeypatch.setattr(Prefix, "check", lambda self, anatomy: [why])
    monkeypatch.setattr(module, "_strategies", lambda asked: [asked, Prefix()])
    status, out, _ = call("plan", file)
    assert status == 0 and "cannot: no attention to put a prefix into" in out


def test_bad_input_is_one_clear_line(call: Any, file: Path) -> None:
    for arguments, what in (
        (["model=/nowhere/at/all"], "[model.folder_missing]"),
        (["memory=lots"], "[plan.bad_limit]"),
        (["trainnig.seed=1"], "[config.key_unknown]"),
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
    assert "broken/config.json" in err and "[model.file_damaged]" in err


@pytest.mark.usefixtures("alone")
def test_what_cannot_be_rehearsed_is_told_and_stops_nothing(
    call: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = forecast_run

    def fragile(prepared: Any, strategy: Any, *rest: Any) -> Any:
        if strategy.type == "full":
            raise NotImplementedError("no kernel for meta")
        return real(prepared, strategy, *rest)

    monkeypatch.setattr(module, "forecast_run", fragile)
    status, out, _ = call("plan", file)
    assert status == 0 and "its steps cannot be rehearsed: no kernel for meta" in out


@pytest.mark.usefixtures("known")
def test_all_strategies_are_foreseen_in_the_precision_of_the_asked_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def choose(rehearsal: Any, training: Any, *_: Any) -> str:
        if training.precision != "auto":
            return str(training.precision)
        asked.append(rehearsal.strategy.type)
        return "bf16"

    monkeypatch.setattr("welltuned.training.forecast.forecast.forecast_precision", choose)
    config = load_config(str(file), ["strategy=lora", "training.precision=auto"])
    plan = module.plan_resources(config, Limits(), lambda *_: None)
    assert asked == ["lora"], "a step is tried in both precisions once"
    assert {row.forecast.precision for row in plan.rows if row.forecast} == {"bf16"}


@pytest.mark.usefixtures("alone")
def test_a_model_that_is_too_large_is_told_without_trying_batches(
    call: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[str] = []
    forecast = forecast_run

    def counted(*given: Any) -> Any:
        rehearsed.append("once")
        return forecast(*given)

    monkeypatch.setattr(module, "forecast_run", counted)
    advice = json.loads(call("plan", file, "memory=1MiB", "--json")[1])["advice"]
    assert "a smaller model may" in advice[0] and rehearsed == ["once"]


@pytest.mark.usefixtures("alone")
def test_what_is_taken_over_from_a_run_is_told(call: Any, file: Path, adapted: Run) -> None:
    """Before any weight is loaded; with a run of an adapter for the model."""
    model = f"model={adapted.folder}"
    status, out, err = call("plan", file, model, "task.pooling=auto")
    told = [line for line in out.splitlines() if line.startswith("base ")]
    assert status == 0 and len(told) == 4, err
    assert "negative, positive" in told[-1]
    status, out, _ = call("plan", file, model, "task.pooling=auto", "--json")
    assert status == 0 and len(json.loads(out)["notes"]) == 4
