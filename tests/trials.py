"""Trials of a sweep that cost no training: what their runs leave behind is real."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from welltuned.config import RunConfig
from welltuned.errors import RunFailed
from welltuned.experiments.search.config import SweepConfig
from welltuned.runs import Run
from welltuned.runs.status import recorded
from welltuned.schema.document import expand_shorthand
from welltuned.training.observer import Observer

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

    def score(self, config: RunConfig) -> float:
        """Best at a learning rate of 1e-3: 0.9, and 0.2 less for each factor of ten."""
        return 0.9 - 0.2 * abs(math.log10(float(config.training.learning_rate) / 1e-3))

    def __call__(self, config: RunConfig, observer: Observer) -> Run:
        self.configs.append(config)
        assert config.output_dir is not None
        run = Run.create(Path(config.output_dir))
        with recorded(run):
            run.write("config.yaml", {"schema_version": 1, **config.model_dump(mode="json")})
            (run.model / "weights").mkdir(parents=True)
            self.before(config)
            observer.started(self.looks)
            for look in range(1, self.looks + 1):
                value = self.score(config) * look / self.looks
                observer.evaluated(look, float(look), {"macro_f1": value}, True)
            score = self.score(config)
            run.write("results.json", {"validation": {"macro_f1": score}})
        return run


def fail(reason: str) -> Callable[[RunConfig], None]:
    """A trial whose run ends with this reason."""

    def end(config: RunConfig) -> None:
        raise RunFailed(reason)

    return end
