"""Runs with too little disk or memory end in one line, and their folders can be read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import welltuned as wt
from faults import fails, refused
from filling import no_file_beyond
from support import config_values, tune
from welltuned.cli.console.runs import describe_runs
from welltuned.config import run_config_from
from welltuned.engines import gradients
from welltuned.engines.memory_faults import telling_memory
from welltuned.models import loading
from welltuned.runs import Run
from welltuned.training.preparation.prepare import prepare
from welltuned.training.session import session
from welltuned.training.train import resume_training

FULL = {"type": "full"}
ONE_STEP = {"max_steps": 1, "num_train_epochs": "auto"}


def failed(folder: Path, code: str) -> Run:
    """The run, as whoever looks at its folder finds it."""
    run = Run.open(folder)
    assert run.state == "failed" and f"[{code}]" in str(run.status["error"])
    assert run.config["strategy"]["type"] and run.read("data.json")
    [row] = describe_runs(folder)
    assert row["state"] == "failed"
    half = [p for p in folder.rglob("*") if p.name.startswith(".") or p.suffix == ".new"]
    told = [row for row in run.read_lines("metrics.jsonl") if "micro_batch_size" not in row]
    assert half == [] and not told[1:]
    return run


def test_a_disk_that_is_full_at_the_checkpoint(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    model = tiny("bert")
    with no_file_beyond(60_000), fails("run.disk_full", name="step-1"):
        tune(model, sentiment, FULL, tmp_path / "run", training=ONE_STEP)
    run = failed(tmp_path / "run", "run.disk_full")
    assert list(run.checkpoints.iterdir()) == [] and not run.model.exists()


def test_a_disk_that_is_full_at_the_artifact(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    training = {**ONE_STEP, "load_best_model_at_end": False, "eval_strategy": "no"}
    model = tiny("bert")
    with no_file_beyond(60_000), fails("run.disk_full", name="model"):
        tune(model, sentiment, FULL, tmp_path / "run", training=training)
    assert not failed(tmp_path / "run", "run.disk_full").model.exists()


def test_a_disk_too_small_to_train_on_is_told_before_the_first_step(
    tiny: Any, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its snapshots and best weights count; with room it goes on."""
    values = config_values(tiny("bert"), few, FULL, tmp_path / "run", training=ONE_STEP)
    free = 4 * prepare(run_config_from(values)).anatomy.parameters * 5
    usage = SimpleNamespace(total=10**12, used=10**12 - free, free=free)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: usage)
        with refused("run.disk_too_small_to_train"):
            wt.train(values)
    assert failed(tmp_path / "run", "run.disk_too_small_to_train").step == 0
    assert resume_training(tmp_path / "run").is_finished


def out_of_memory(*arguments: object, **options: object) -> Any:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


def test_memory_that_runs_out_in_training(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "accumulate", out_of_memory)
    with fails("run.out_of_memory", doing="training") as caught:
        tune(tiny("bert"), sentiment, FULL, tmp_path / "run", training=ONE_STEP)
    assert caught.value.faults[0].remedy == (
        "lower task.max_length (now 64), or set training.gradient_checkpointing=true (now false), "
        "or set training.precision=bf16 (now fp32)"
    )
    failed(tmp_path / "run", "run.out_of_memory")


def test_memory_that_runs_out_in_evaluation(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "predict_outputs", out_of_memory)
    with fails("run.out_of_memory", doing="evaluating validation") as caught:
        tune(tiny("bert"), sentiment, FULL, tmp_path / "run", training=ONE_STEP)
    assert "per_device_eval_batch_size (now 64)" in caught.value.faults[0].remedy
    assert Run.open(tmp_path / "run").state == "failed"


def test_memory_that_runs_out_in_prediction(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = wt.load(finished)
    monkeypatch.setattr(predictor.model, "forward", out_of_memory)
    with fails("run.out_of_memory", doing="predicting") as caught:
        predictor.predict(["good film"], batch_size=32)
    assert "batch_size (now 32)" in caught.value.faults[0].remedy


def test_torch_itself_says_it_so(tiny: Any) -> None:
    """The words that are looked for are those of the torch that is installed."""
    with fails("run.out_of_memory"), telling_memory("training", []):
        torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize("verb", ["train", "compare", "sweep", "curve", "rlhf"])
def test_no_verb_ends_in_a_traceback_where_nothing_can_be_written(
    verb: str, tiny: Any, sentiment: str, ratings: str, call: Any, tmp_path: Path
) -> None:
    """A file stands where the folder should be; root may write everywhere else."""
    (tmp_path / "file").write_text("precious")
    keys = {
        "train": ["train", "strategy=full"],
        "compare": ["compare", "strategies=[full,lora]", "seeds=1"],
        "sweep": ["sweep", "strategy=full", "trials=2"],
        "curve": ["tune", "data", "strategy=full", "shares=[0.3, 0.5, 0.8, 1]"],
        "rlhf": ["train", "pipeline=rlhf", f"reward.data={ratings}", "strategy=full"],
    }[verb]
    status, out, err = call(
        *keys, f"model={tiny('bert')}", f"data={sentiment}", f"output_dir={tmp_path}/file/here"
    )
    assert (status, out) == (2, "")
    assert "[run.folder_not_made]" in err and err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "precious"


def test_training_into_a_file_is_refused_before_anything_loads(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("precious")
    values = config_values(tiny("bert"), sentiment, FULL, tmp_path / "file" / "run")
    monkeypatch.setattr(loading, "load_model", lambda *args: pytest.fail("loaded"))
    with refused("run.folder_not_made"):
        wt.train(values)
