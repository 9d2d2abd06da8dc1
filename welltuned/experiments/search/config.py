"""SweepConfig: a run config with a `sweep:` section."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.experiments.executors import AnyExecutor, Local
from welltuned.rlhf.stage_config import Nested
from welltuned.schema.document import Document, apply_overrides, read_document
from welltuned.schema.part import Part, PartT, conflict
from welltuned.schema.units import read_duration
from welltuned.schema.validation import validate


class SideBySideSettings(Nested):
    """How many runs of a search go side by side, and where."""

    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Runs side by side. auto: one a core, as far as memory goes; one on a GPU."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of each run, which decide how sums are rounded. Default: cores / workers."""
    executor: AnyExecutor = Local()
    """Where runs are carried out: `local` processes, or `ray` tasks."""

    def workers_for(self, runs: int, device: str, cores: int) -> int:
        """As configured; `auto` is one run a core, but one alone on a GPU."""
        if self.workers != "auto":
            return self.workers
        return max(1, min(cores, runs)) if device == "cpu" else 1


class SweepSettings(SideBySideSettings):
    """The search space, the number of trials, and the metric to optimise."""

    space: dict[str, Any] | Literal["auto"] = Field(
        default="auto",
        examples=[{"training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}],
    )
    """The search space, such as `"training.learning_rate": {low: 1e-5, high: 1e-2, log: true}`,
    `"strategy.r": [4, 8, 16]`, or `"training.warmup_ratio": auto` for the range its field declares.
    auto: the learning rate, and what the strategy declares and the config leaves open."""
    trials: int = Field(default=20, ge=1)
    """The number of trials, over all processes that share the sweep; raise it to continue."""
    metric: str = Field(default="auto", examples=["accuracy"])
    """The validation metric to optimise. auto: `training.metric_for_best_model`."""
    direction: Literal["auto", "maximize", "minimize"] = "auto"
    """Whether to maximise or minimise it. auto: known for each metric."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """How trials are sampled: from a model of the results so far (TPE), at random, or from the grid
    of all combinations of given values."""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """When a trial is pruned, that is stopped early: after an evaluation below the median of
    earlier trials, by successive halving, or never."""
    timeout: str | None = Field(default=None, examples=["2h"])
    """Start no trial after this time, such as 90s, 20m or 2h; counted per process."""
    keep: Literal["best", "all", "none"] = "best"
    """Which trials' weights stay on disk; the records of all trials do."""
    seed: int = Field(default=0, ge=0)
    """The sampler's random seed. With the same `workers` it reproduces the trials, whichever ends
    first, where one command runs them all."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Trials side by side. auto: one a core, as far as memory goes; one on a GPU. When a trial is
    proposed, nothing is known of those beside it, so `workers` decides what is tried. Times of
    trials side by side are CPU seconds."""

    @field_validator("timeout", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if value is not None:
            try:
                read_duration(str(value))
            except ValueError:
                raise conflict(
                    "sweep.bad_timeout",
                    "'sweep.timeout' is '{value}'",
                    "write a number and s, m, h or d, such as 20m",
                    value=value,
                ) from None
        return value

    @property
    def seconds(self) -> float | None:
        """`timeout` as a number."""
        if self.timeout is None:
            return None
        return float(read_duration(self.timeout))


class SweepConfig(RunConfig):
    """A run's config and its hyper-parameter search; `output_dir` is the sweep's folder."""

    sweep: SweepSettings = SweepSettings()
    """The hyper-parameter search."""


class CurveSettings(SideBySideSettings):
    """The training-set sizes, and the runs at each."""

    shares: tuple[float, ...] = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    """Fractions of the training data, each nested in the next; at least four for a fit."""
    seeds: int = Field(default=3, ge=2)
    """Runs at each fraction, with another sample, data order and initialisation."""

    @field_validator("shares")
    @classmethod
    def _ascending(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if len(shares) < 4 or list(shares) != sorted(set(shares)):
            raise conflict(
                "curve.shares_not_ascending",
                "'curve.shares' must be four or more, in ascending order",
                "for example [0.125, 0.25, 0.5, 1]",
            )
        if shares[0] <= 0 or shares[-1] > 1:
            raise conflict(
                "curve.shares_out_of_range",
                "'curve.shares' must be above 0 and at most 1",
                "for example [0.125, 0.25, 0.5, 1]",
            )
        return shares


class CurveConfig(RunConfig):
    """A run's config and its learning curve; `output_dir` is the curve's folder."""

    curve: CurveSettings = CurveSettings()
    """The fractions of the training data, and the runs at each."""


def as_run(config: RunConfig) -> RunConfig:
    """The run that is varied, without what a search asks besides; it knows what was left open."""
    written = config.model_fields_set & set(RunConfig.model_fields)
    return RunConfig.model_validate({name: getattr(config, name) for name in written})


def read_sweep_config(file: str | None, arguments: Iterable[str]) -> tuple[SweepConfig, Document]:
    """The config as a person wrote it, and where its keys stand. Raises `InputError`.

    `trials=30` is short for `sweep.trials=30`, and so for the other keys of `sweep:`.
    """
    return read_asked(SweepConfig, "sweep", SweepSettings, file, arguments)


def read_asked(
    schema: type[PartT],
    section: str,
    settings: type[Part],
    file: str | None,
    arguments: Iterable[str],
) -> tuple[PartT, Document]:
    """A run's config with a section of its own, whose keys may stand bare on the line."""

    def in_full(argument: str) -> str:
        key = argument.partition("=")[0].partition(".")[0]
        return f"{section}.{argument}" if key in settings.model_fields else argument

    faults = Faults()
    document = read_document(Path(file), faults) if file is not None else Document()
    apply_overrides(document, map(in_full, arguments), schema, faults)
    faults.raise_if_any()
    config = validate(schema, document, faults)
    faults.raise_if_any()
    assert config is not None
    return config, document
