"""Runs made to have one fault each, and healthy ones: small jobs on a tiny model."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from support import config_values, make_rows, write_rows

HEAD = {"type": "partial", "num_blocks": 0}

PLANTED: dict[str, dict[str, Any]] = {
    "healthy": {"learning_rate": 3e-3, "num_train_epochs": 5},
    "diverged": {"learning_rate": 3.0, "num_train_epochs": 3, "max_grad_norm": 0.0},
    "collapsed": {"positive": 0.9, "noise": 1.0, "learning_rate": 1e-3, "num_train_epochs": 3},
    "plateaued": {  # half of the labels say nothing, and no example is seen twice
        "examples": 4000, "noise": 0.5,
        "learning_rate": 3e-3, "num_train_epochs": 1, "lr_scheduler_type": "constant",
    },
    "overfitted": {"examples": 60, "noise": 0.6, "learning_rate": 3e-3, "num_train_epochs": 40},
    "underfitted": {"strategy": HEAD, "learning_rate": 1e-5, "num_train_epochs": 4},
    "cut short": {"examples": 1600, "learning_rate": 3e-4, "num_train_epochs": 1},
}  # fmt: skip
"""For each verdict a run that deserves it."""


def plant(kind: str, seed: int, model: str, folder: Path) -> Any:
    """Carry out such a run; returns its folder, also where training had to stop."""
    from welltuned.config import run_config_from
    from welltuned.errors import NotFinite
    from welltuned.runs import Run
    from welltuned.training.train import run_training

    planted = {"strategy": {"type": "full"}, **PLANTED[kind]}
    noise, positive = planted.pop("noise", 0.0), planted.pop("positive", 0.5)
    sizes = {"train": planted.pop("examples", 400), "validation": 150, "test": 40}
    rows = iter(_rows(sum(sizes.values()), seed, noise, positive))
    (data := folder / "data").mkdir(parents=True)
    for split, size in sizes.items():
        write_rows(data / f"{split}.jsonl", list(islice(rows, size)))
    values = config_values(
        model,
        str(data),
        planted.pop("strategy"),
        folder / "run",
        task={"pooling": "mean"},
        evaluation={"untrained": False},
        training={"per_device_train_batch_size": 16, "logging_steps": 5, "seed": seed, **planted},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("welltuned.training.train.write_run_report", lambda run: None)
        with suppress(NotFinite):
            run_training(run_config_from(values))
    return Run(folder / "run")


def _rows(number: int, seed: int, noise: float, positive: float) -> list[dict[str, Any]]:
    """Texts of which so many are positive; a share `noise` of the labels is drawn by lot."""
    draw = random.Random(seed)
    pool = make_rows(4 * number, seed)
    good = [row for row in pool if row["label"] == "positive"]
    bad = [row for row in pool if row["label"] == "negative"]
    of_good = round(number * positive)
    rows = good[:of_good] + bad[: number - of_good]
    draw.shuffle(rows)
    for row in rows:
        if draw.random() < noise:
            row["label"] = ("negative", "positive")[draw.random() < positive]
    return rows
