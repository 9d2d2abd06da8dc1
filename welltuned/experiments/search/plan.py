"""Sweep plan: resolved and checked before the first trial."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.engines import distributed
from welltuned.errors import Faults, InputError, Place
from welltuned.evaluation.config import OFF
from welltuned.experiments.search.config import SweepConfig, SweepSettings, as_run
from welltuned.experiments.search.space import Dimension, Interval, Value
from welltuned.experiments.search.space_reading import read_space, with_values
from welltuned.metrics import lower_is_better
from welltuned.schema.document import Document
from welltuned.schema.validation import nearest
from welltuned.training.output_folder import require_space, usual_name
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import RunPlan, prepare

_PROCESS = 2**29
"""What a process holds that has imported everything."""
_TRAINING = 4
"""How many times its weights a trial holds: gradients, an optimizer and the best checkpoint."""


@dataclass(frozen=True)
class SweepPlan:
    """A validated sweep, ready to start."""

    config: RunConfig
    """The run that is varied, as it was asked."""
    settings: SweepSettings
    folder: Path
    space: tuple[Dimension, ...]
    usual: dict[str, Value]
    """What a run without a sweep would use, by key, where the space holds that."""
    metric: str
    maximize: bool
    data_fingerprint: str
    device: str
    """What trials train on: cpu, cuda or mps."""
    memory_bytes: int
    """What one is taken to hold, before any has ended."""

    def trial(self, values: Mapping[str, Value], folder: Path) -> RunConfig:
        """The config of one trial. Raises `InputError` when the values do not go together."""
        faults = Faults()
        config = with_values(trial_of(self.config, self.metric, folder), values, faults)
        faults.raise_if_any()
        assert config is not None
        return config

    @property
    def identity(self) -> dict[str, object]:
        """What must stay the same while trials are added."""
        return {
            **self.config.model_dump(mode="json", exclude={"output_dir", "report"}),
            "sweep": {
                "space": {dimension.key: dimension.as_dict() for dimension in self.space},
                "metric": self.metric,
                "direction": "maximize" if self.maximize else "minimize",
                **self.settings.model_dump(include={"sampler", "pruner", "seed"}),
            },
            "data_fingerprint": self.data_fingerprint,
        }


def plan_sweep(
    config: SweepConfig,
    document: Document | None = None,
    progress: Working = lambda what, done, total: None,
    cache: DataCache | None = None,
) -> SweepPlan:
    """Check everything; no weights are loaded. Raises `InputError` with all faults found.

    `document` tells where the keys stand.
    """
    document = document or Document(source="arguments")
    faults, base = Faults(), as_run(config)
    _require_tools(faults)
    folder = output_folder(config, "sweeps", faults)
    prepared = None
    try:
        prepared = prepare(sealed(base), progress, cache)
        require_space(base, prepared.anatomy, folder)
    except InputError as error:
        faults.extend(error.faults)
    space = read_space(config, document, prepared, faults)
    _require_grid(config, space, document, faults)
    if prepared is None:
        raise InputError(faults)
    metric = _metric(config, prepared, document, faults)
    faults.raise_if_any()
    direction = config.sweep.direction
    return SweepPlan(
        config=base,
        settings=config.sweep,
        folder=folder,
        space=tuple(space),
        usual=_usual(space, prepared.config),
        metric=metric,
        maximize=not lower_is_better(metric) if direction == "auto" else direction == "maximize",
        data_fingerprint=prepared.data.facts.fingerprint,
        device=device_of(base),
        memory_bytes=memory_guess(prepared),
    )


def device_of(config: RunConfig) -> str:
    """What a run trains on: cpu, cuda or mps."""
    from welltuned.engines.device import choose_device

    return choose_device(config.training.device).type


def memory_guess(prepared: RunPlan) -> int:
    """What a run is taken to hold, before any has ended."""
    return _PROCESS + _TRAINING * 4 * prepared.anatomy.parameters


def sealed(config: RunConfig) -> RunConfig:
    """A run for those who still choose: it does not read the test split."""
    # Nothing is chosen by what was forgotten or by a probe, and both take long.
    unread = {"test": False, "untrained": False, "retention": (OFF,), "probe": False}
    evaluation = config.evaluation.model_copy(update=unread)
    return config.model_copy(update={"evaluation": evaluation})


def trial_of(config: RunConfig, metric: str, folder: Path) -> RunConfig:
    """A sealed run in a folder of its own.

    `metric` chooses the weights that it keeps, unless the config names another.
    """
    training = config.training
    if training.metric_for_best_model == "auto":
        training = training.model_copy(update={"metric_for_best_model": metric})
    return sealed(config).model_copy(update={"training": training, "output_dir": str(folder)})


def output_folder(config: RunConfig, parent: str, faults: Faults) -> Path:
    """The folder as configured, or PARENT/DATA-STRATEGY: the same each time, to go on in it."""
    folder = Path(config.output_dir or f"{parent}/{usual_name(config)}").expanduser()
    if folder.exists() and not folder.is_dir():
        faults.add(
            "run.folder_is_a_file",
            "the output folder is a file",
            Place(str(folder)),
            "choose another output_dir",
        )
    return folder


def _require_tools(faults: Faults) -> None:
    if importlib.util.find_spec("optuna") is None:
        faults.add(
            "sweep.optuna_missing", "sweeps need Optuna", None, "pip install 'welltuned[sweep]'"
        )
    if distributed.processes() > 1:
        faults.add(
            "sweep.several_processes",
            "a trial of a sweep runs in one process",
            None,
            "start the sweep several times instead: all work on one folder",
        )


def _require_grid(
    config: SweepConfig, space: list[Dimension], document: Document, faults: Faults
) -> None:
    if config.sweep.sampler == "grid":
        for dimension in space:
            if isinstance(dimension, Interval):
                faults.add(
                    "sweep.grid_with_a_range",
                    "'sweep.sampler' is grid, but '{key}' is a range",
                    document.place(("sweep", "space", dimension.key)),
                    "give a list of values, or use sampler: tpe",
                    key=dimension.key,
                )


def _metric(config: SweepConfig, prepared: RunPlan, document: Document, faults: Faults) -> str:
    metric = config.sweep.metric
    if metric == "auto":
        return prepared.metric
    if metric not in prepared.problem.scorer.metric_names:
        place = document.place(("sweep", "metric"))
        remedy = nearest(metric, prepared.problem.scorer.metric_names)
        faults.add(
            "sweep.metric_unknown",
            "no validation score '{metric}'",
            place,
            "{hint}",
            metric=metric,
            hint=remedy,
        )
    return metric


def _usual(space: list[Dimension], resolved: RunConfig) -> dict[str, Value]:
    """What the config and the project's defaults say, where the space holds it."""
    found: dict[str, Value] = {}
    for dimension in space:
        section, _, name = dimension.key.partition(".")
        part = getattr(resolved, section).model_dump(mode="json")
        if name in part and dimension.holds(part[name]):
            found[dimension.key] = part[name]
    return found
