"""Tiny supervised runs that PPO can start from, made on first use: fixtures of several folders."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from support import STRATEGIES, make_rows, short_tune, write_rows
from welltuned.runs import Run


@pytest.fixture(scope="session")
def stories(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 60 plain texts."""
    rows = [{"text": row["text"]} for row in make_rows(60, seed=3)]
    return write_rows(tmp_path_factory.mktemp("stories") / "stories.jsonl", rows)


@pytest.fixture(scope="session")
def classified(
    tiny: Callable[..., str], sentiment: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Run]:
    """`classified("lora")`: a short classification run. To be read, not changed."""

    @cache
    def make(strategy: str, family: str = "bert") -> Run:
        folder = tmp_path_factory.mktemp("classified") / "run"
        return short_tune(tiny(family), sentiment, STRATEGIES[strategy], folder)

    return make


@pytest.fixture(scope="session")
def told(
    causal: Callable[..., str], stories: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Run]:
    """`told("lora")`: a short generation run on plain texts. To be read, not changed."""

    @cache
    def make(strategy: str, family: str = "llama") -> Run:
        folder = tmp_path_factory.mktemp("told") / "run"
        task = {"type": "generation", "decoding": {"max_new_tokens": 8}, "scored_examples": 2}
        return short_tune(causal(family), stories, STRATEGIES[strategy], folder, task=task)

    return make
