"""In a run frozen blocks run once for each example, and its numbers stay the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import STRATEGIES, config_values, tune
from welltuned.config import run_config_from
from welltuned.models.frozen_cache import cached_trunk
from welltuned.models.frozen_cache.row_store import RowStore
from welltuned.runs import Run
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import prepare
from welltuned.training.session.session import load_session


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


@pytest.fixture
def hears() -> Any:
    class Hears(Observer):
        def __init__(self) -> None:
            self.said: list[str] = []

        def noted(self, text: str) -> None:
            self.said.append(text)

    return Hears()


def load(hears: Any, model: str, data: str, strategy: Any, **parts: Any) -> None:
    config = run_config_from(config_values(model, data, strategy, Path("never-written"), **parts))
    load_session(prepare(config), hears)


@pytest.mark.parametrize(("family", "kept"), [("bart", 2), ("t5", 0)])
def test_a_frozen_encoder_runs_once_for_each_text_where_its_blocks_hand_on_states_alone(
    family: str, kept: int, tiny: Callable[..., str], few: str, trunks: list[Any], hears: Any
) -> None:
    """T5's hand on a bias of positions as well."""
    load(hears, tiny(family), few, {"type": "partial", "num_blocks": 1})
    (trunk,) = trunks
    assert trunk.depth == kept and bool(trunk.computed) == bool(kept)
    refused = "frozen blocks run anew for each batch: they hand on more than hidden states"
    assert (refused in hears.said) == (not kept)


def test_layers_that_share_weights_run_in_every_pass_and_that_is_said(
    tiny: Callable[..., str], few: str, trunks: list[Any], hears: Any
) -> None:
    load(hears, tiny("albert"), few, STRATEGIES["head"], task={"pooling": "mean"})
    assert not trunks
    assert "frozen layers run in every pass, for one block is all of them" in hears.said


@pytest.mark.slow
def test_a_run_with_a_frozen_encoder_is_the_same_with_states_kept_and_computed(
    tiny: Callable[..., str], few: str, tmp_path: Path, trunks: list[Any]
) -> None:
    found = []
    for wanted in (True, False):
        run = tune(
            tiny("bart"),
            few,
            {"type": "partial", "num_blocks": 1},
            tmp_path / str(wanted),
            evaluation={"untrained": False},
            training={"cache_frozen_blocks": wanted, "logging_steps": 1},
        )
        found.append((losses(run), run.results["test"], run.results["validation"]))
    assert found[0] == found[1]
    assert trunks[0].found
