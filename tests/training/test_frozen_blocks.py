"""In a run frozen blocks run once for each example, and its numbers stay the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import STRATEGIES, tune
from welltuned.models.frozen_cache import cached_trunk
from welltuned.models.frozen_cache.row_store import RowStore
from welltuned.runs import Run


@pytest.fixture
def trunks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every cached trunk that is made, with a store of the test's own."""
    made: list[Any] = []
    own = cached_trunk.CachedTrunk.__init__
    store = RowStore(2**26)

    def init(self: Any, model: Any, anatomy: Any, lowest: Any, kept: Any, tell: Any) -> None:
        own(self, model, anatomy, lowest, store if kept is not None else None, tell)
        made.append(self)

    monkeypatch.setattr(cached_trunk.CachedTrunk, "__init__", init)
    return made


def losses(run: Run) -> list[float]:
    rows = map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if row.get("split") == "train" and "loss" in row]


@pytest.mark.parametrize(("kind", "engine"), [("gradual", "torch"), ("head", "hf")])
def test_a_run_is_the_same_with_states_kept_and_computed(
    kind: str,
    engine: str,
    tiny: Callable[..., str],
    sentiment: str,
    tmp_path: Path,
    trunks: list[Any],
) -> None:
    found = []
    for wanted in (True, False):
        run = tune(
            tiny("bert"),
            sentiment,
            STRATEGIES[kind],
            tmp_path / str(wanted),
            engine=engine,
            task={"pooling": "mean"},
            evaluation={"untrained": False},
            training={"cache_frozen_blocks": wanted, "logging_steps": 1},
        )
        found.append((losses(run), run.results["test"], run.results["validation"]))
    assert found[0] == found[1] and len(found[0][0]) > 4
    assert sum(trunk.computed for trunk in trunks if trunk._store is not None) <= 120
    assert sum(trunk.computed for trunk in trunks if trunk._store is None) > 240
