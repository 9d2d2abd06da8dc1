"""Two processes train as one does with the same global batch, on either engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from forking import Forks, free_port, train_as_rank
from resuming import differing, left_by, losses
from support import config_values, tune
from welltuned.runs import Run

GRADUAL = {"type": "gradual", "num_blocks": 2}
TRAINING = {"per_device_train_batch_size": 4, "logging_steps": 1, "load_best_model_at_end": False}


def launch(values: dict[str, Any], folder: Path) -> Run:
    """The same run by two processes under torchrun, talking over gloo."""
    script = folder / "train.py"
    script.write_text(
        f"import json, welltuned as wt\nwt.train(**json.loads({json.dumps(values)!r}))\n",
        encoding="utf-8",
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, "--master_addr=127.0.0.1", f"--master_port={free_port()}", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Run.open(values["output_dir"])


def forked(forks: Forks, values: dict[str, Any], **more: Any) -> Run:
    """The same by two forks, each told what torchrun tells the processes that it starts."""
    assert ended(forks, values, more, more) == [0, 0]
    return Run.open(values["output_dir"])


def ended(forks: Forks, values: dict[str, Any], *asked: dict[str, Any]) -> list[int]:
    """The exit statuses of two ranks, each asked for something besides."""
    launcher = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    ranks = [
        forks.begin(
            train_as_rank,
            environment={**launcher, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            values=values,
            **asked[rank],
        )
        for rank in range(2)
    ]
    return [forks.end_of(rank)[0] for rank in ranks]


@pytest.mark.parametrize("engine", ["torch", "hf"])
@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(GRADUAL, id="gradual"),
        pytest.param({"type": "lora"}, id="lora by torchrun", marks=pytest.mark.slow),
    ],
)
def test_two_processes_agree_with_one(
    engine: str, strategy: dict[str, Any], tiny: Any, sentiment: str, tmp_path: Path, forks: Forks
) -> None:
    model = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    protection = {"type": "l2sp", "alpha": 0.5}  # added once, and not by every process
    task = {"task": {"pooling": "mean"}, "engine": engine, "protection": protection}
    alone = {**TRAINING, "gradient_accumulation_steps": 2}
    one = tune(model, sentiment, strategy, tmp_path / "one", training=alone, **task)
    values = config_values(model, sentiment, strategy, tmp_path / "two", training=TRAINING, **task)
    two = launch(values, tmp_path) if strategy["type"] == "lora" else forked(forks, values)
    assert losses(two) == pytest.approx(losses(one), abs=1e-6)
    assert two.results["cost"]["examples_per_second"] > 0 and two.state == "finished"
    file = "adapter_model.safetensors" if strategy["type"] == "lora" else "model.safetensors"
    for name, weights in load_file(one.model / file).items():
        torch.testing.assert_close(load_file(two.model / file)[name], weights, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("engine", ["torch", "hf"])
def test_two_processes_go_on_as_if_never_stopped(
    engine: str, tiny: Any, few: str, tmp_path: Path, forks: Forks
) -> None:
    """One of them alone hears the signal; each has random numbers of its own for dropout."""
    parts = {"task": {"pooling": "mean"}, "engine": engine, "training": TRAINING}
    asked = [
        config_values(tiny("bert"), few, {"type": "full"}, tmp_path / name, **parts)
        for name in ("whole", "other")
    ]
    whole = forked(forks, asked[0])
    statuses = ended(forks, asked[1], {}, {"stops_after": 3})
    assert statuses == [143, 143]
    other = forked(forks, asked[1], resumes=True)
    assert not differing(left_by(other), left_by(whole))
    assert len(losses(whole)) == len(losses(other)) > 4
