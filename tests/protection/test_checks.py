"""Replay goes with tasks whose examples stand alone; others refuse it before a weight is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faults import refused
from support import config_values, write_rows
from welltuned.config import run_config_from
from welltuned.training.preparation.prepare import prepare


def test_judged_prompts_refuse_replay(tiny: Any, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"the film {i}", "chosen": f"good {i}", "rejected": f"bad {i}"}
        for i in range(40)
    ]
    data: Any = {"train": write_rows(tmp_path / "pairs.jsonl", rows)}
    data["replay"] = data["train"]
    values = config_values(tiny("bert"), data, "full", tmp_path / "run", task="reward")
    with refused("protection.replay_unsupported", task="reward"):
        prepare(run_config_from({**values, "protection": "replay"}))
