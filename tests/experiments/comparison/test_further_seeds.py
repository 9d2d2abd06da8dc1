"""Further seeds: a time budget that is left goes to what is in question, where it suffices."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, carried_out, values_for
from welltuned.experiments.comparison import further_seeds, run_cells
from welltuned.experiments.comparison.config import CompareConfig


def test_time_that_is_left_goes_to_what_is_in_question(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """LoRA is dropped after two of three seeds; the head gets two further ones, and no third."""
    monkeypatch.setattr(run_cells, "dropped", lambda standings, rounds: ["lora r=2"])
    for module in (run_cells, further_seeds):
        monkeypatch.setattr(module, "is_settled", lambda standings, gone: False)
    monkeypatch.setattr(CompareConfig, "is_timed", True)
    left = chain([1e6, 1e6], repeat(0.0))
    monkeypatch.setattr(further_seeds, "seconds_left", lambda config, spent, cells: next(left))
    values = values_for(tiny("bert"), sentiment, tmp_path / "c", seeds=3, budget={"steps": 2})
    comparison = carried_out(values)
    seeds = {
        row["name"]: [cell["seed"] for cell in row["cells"] if cell["state"] == "finished"]
        for row in comparison.record["rows"]
    }
    assert seeds == {"head": [0, 1, 2, 3, 4], "lora r=2": [0, 1]}
    assert comparison.results["rows"][0]["seeds"] == [0, 1, 2, 3, 4]
    [told] = [r for r in comparison.results["remarks"] if r["code"] == "compare.further_seeds"]
    assert told["values"] == {"added": 2, "names": "head"}
    before = comparison.results
    assert carried_out(values).results == before, "the same command finds all of it finished"


def test_a_further_seed_must_fit_into_the_time(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(further_seeds, "is_settled", lambda standings, gone: False)
    monkeypatch.setattr(further_seeds, "seconds_left", lambda config, spent, cells: 1e-6)
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], seeds=2, budget={"steps": 2}
    )
    [row] = carried_out(values).record["rows"]
    assert [cell["seed"] for cell in row["cells"]] == [0, 1]
