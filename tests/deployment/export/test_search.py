"""The search for a way that loses little: recipes, then the costliest blocks in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn

from exporting import cost
from faults import refused
from welltuned.deployment.export import search
from welltuned.deployment.export.capture import Captured
from welltuned.deployment.export.search import PrecisionSearch
from welltuned.errors import RunFailed

BLOCKS = ["layer.0", "layer.1", "layer.2", "layer.3"]


class Way(nn.Module):
    """A model that remembers how it was written."""

    def __init__(self, recipe: str, kept: frozenset[str]) -> None:
        super().__init__()
        self.recipe, self.kept = recipe, kept


@dataclass
class Format:
    """Loses as many points as `lost` says."""

    ways: tuple[str, ...] = ("fast", "slow")
    keeps: bool = True

    def recipes(self, precision: str) -> tuple[str, ...]:
        return self.ways

    def can_keep(self, precision: str) -> bool:
        return self.keeps

    def calibration(self, artifact: Any, examples: Any, inputs: Sequence[str]) -> Any:
        return []

    def blocks(self, captured: Captured) -> list[str]:
        return BLOCKS

    def build(
        self, captured: Captured, folder: Path, recipe: str, kept: frozenset[str], batches: Any
    ) -> None:
        (folder / "model").write_text(" ".join([recipe, *sorted(kept)]))

    def model_of(self, folder: Path, inputs: Sequence[str]) -> nn.Module:
        recipe, *kept = (folder / "model").read_text().split()
        return Way(recipe, frozenset(kept))


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PrecisionSearch]:
    """A search over made-up losses: points by recipe, and what each block costs of them."""

    def make(
        lost: dict[str, float], blocks: dict[str, float] | None = None, **given: Any
    ) -> PrecisionSearch:
        def points(way: Way) -> float:
            return lost[way.recipe] - sum((blocks or {}).get(block, 0.0) for block in way.kept)

        def score(way: Any, limit: float) -> dict[str, Any]:
            drop = points(way)
            return {
                "drop": drop, "worst_drop": drop, "limit": limit, "metric": "f1",
                "examples": 9, "split": "test",
            }  # fmt: skip

        def costs(way: Any, size: int, judge: Any) -> dict[str, Any]:
            speed = {"fast": 9.0, "slow": 5.0}[way.recipe] - len(way.kept)
            return {"original": cost(1, 1, 1), "exported": cost(1, speed, size)}

        monkeypatch.setattr(search, "costs_beside", costs)
        monkeypatch.setattr(
            search, "outputs_of", lambda way, artifact, few: np.full((2, 1), points(way))
        )
        data: Any = SimpleNamespace(calibration=[], validation=_Two())
        judge: Any = SimpleNamespace(
            score=score, artifact=None, data=data, validation_NK=np.zeros((2, 1))
        )
        file = tmp_path / "captured" / "model.onnx"
        file.parent.mkdir()
        job: Any = SimpleNamespace(
            precision="int8", drop=0.5, tell=lambda words: None, target=tmp_path / "target"
        )
        return PrecisionSearch(Format(**given), Captured(file, ("input_ids",)), judge, job)

    return make


class _Two:
    def __len__(self) -> int:
        return 2

    def take(self, rows: Sequence[int]) -> _Two:
        return self


def test_of_recipes_that_pass_the_fastest_is_taken(begin: Any) -> None:
    taken, attempts = begin({"fast": 0.4, "slow": 0.1}).run()
    assert taken.recipe == "fast" and len(attempts) == 2


def test_a_recipe_that_fails_gives_way_to_one_that_passes(begin: Any) -> None:
    taken, attempts = begin({"fast": 3.0, "slow": 0.1}).run()
    assert taken.recipe == "slow" and taken.kept == () and len(attempts) == 2


def test_the_costliest_blocks_stay_in_higher_precision(begin: Any) -> None:
    blocks = {"layer.2": 1.2, "layer.1": 0.9, "layer.0": 0.1}
    taken, attempts = begin({"fast": 2.5, "slow": 2.6}, blocks).run()
    assert taken.kept == ("layer.2", "layer.1")
    assert [one.kept for one in attempts] == [(), (), ("layer.2",), ("layer.2", "layer.1")]


def test_the_search_ends_with_half_of_the_blocks(begin: Any) -> None:
    with refused("export.drop_beyond_limit", error=RunFailed, recipe="fast"):
        begin({"fast": 9.0, "slow": 9.5}, {"layer.2": 1.0}).run()


def test_what_cannot_keep_blocks_is_tried_once(begin: Any) -> None:
    with refused("export.drop_beyond_limit", error=RunFailed):
        begin({"fast": 9.0}, ways=("fast",), keeps=False).run()
