"""Trials of a sweep that cost no training: what their runs leave behind is real.

A folder of tests that asks for sweeps takes the fixtures at the end into its `conftest.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comparing import without_processes
from support import config_values
from welltuned.config import RunConfig
from welltuned.errors import Fault, RunFailed
from welltuned.experiments.search import sweep as sweeps
from welltuned.experiments.search import trial as trials
from welltuned.experiments.search.config import SweepConfig
from welltuned.runs import Run
from welltuned.runs.status import recorded
from welltuned.schema.validation import expand_shorthand
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache

Ask = Callable[..., SweepConfig]


def values_of(values: dict[str, Any]) -> dict[str, Any]:
    """Short forms spelt out, as reading a file does."""
    return expand_shorthand(SweepConfig, values)


class Imagined:
    """In place of `train`: a run that takes no time, whose score is a function of its config.

    The score rises over `looks` evaluations; `before` may raise, to imagine a trial's end.
    """

    def __init__(self) -> None:
        self.configs: list[RunConfig] = []
        self.looks = 3
        self.before: Callable[[RunConfig], None] = lambda config: None
        self.tell: Callable[[str], None] = lambda what: None
        """Says what the trial under way is doing."""

    def score(self, config: RunConfig) -> float:
        """Best at a learning rate of 1e-3: 0.9, and 0.2 less for each factor of ten."""
        return 0.9 - 0.2 * abs(math.log10(float(config.training.learning_rate) / 1e-3))

    def __call__(
        self, config: RunConfig, observer: Observer, cache: DataCache | None = None
    ) -> Run:
        self.configs.append(config)
        assert config.output_dir is not None
        run = Run.create(Path(config.output_dir))
        with recorded(run):
            run.write("config.yaml", {"schema_version": 1, **config.model_dump(mode="json")})
            (run.model / "weights").mkdir(parents=True)
            self.tell = lambda what: observer.working(what, 1, 1)
            self.before(config)
            observer.started(self.looks)
            for look in range(1, self.looks + 1):
                value = self.score(config) * look / self.looks
                observer.evaluated(look, float(look), {"macro_f1": value}, True)
            score = self.score(config)
            run.write("results.json", {"validation": {"macro_f1": score}})
        return run


def imagine(patch: pytest.MonkeyPatch) -> Imagined:
    """Sweeps whose trials are imagined and that draw no charts; all else about them is real."""
    double = Imagined()
    without_processes(patch)
    patch.setattr(trials, "run_training", double)
    patch.setattr(sweeps, "write_sweep_report", lambda folder: None)
    return double


def fail(reason: str) -> Callable[[RunConfig], None]:
    """A trial whose run ends with this reason."""

    def end(config: RunConfig) -> None:
        raise RunFailed(Fault("training.not_finite", "{reason}", reason=reason))

    return end


@pytest.fixture
def ask(tiny: Any, sentiment: str, tmp_path: Path) -> Ask:
    """`ask(strategy="lora", sweep={…})`: a sweep in `tmp_path/sweep`; its trials are short."""

    def make(strategy: Any = "lora", **parts: Any) -> SweepConfig:
        training = {"learning_rate": "auto", "num_train_epochs": 2, **parts.pop("training", {})}
        parts["sweep"] = {"workers": 1, **parts.get("sweep", {})}
        values = config_values(
            tiny(parts.pop("family", "bert")),
            sentiment,
            strategy,
            tmp_path / "sweep",
            training=training,
            **{"task": {"pooling": "mean"}, **parts},
        )
        return SweepConfig.model_validate(values_of(values))

    return make


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> Imagined:
    """Sweeps whose trials are imagined, for one test."""
    return imagine(monkeypatch)
