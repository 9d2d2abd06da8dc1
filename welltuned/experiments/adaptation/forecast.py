"""Cost forecast of a run that adapts its model first: the reading, and the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from welltuned.config import RunConfig
from welltuned.engines.device import choose_device
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.pipeline import labelled_run, read_and_check
from welltuned.experiments.adaptation.reading_run import reading_run
from welltuned.runs import process_memory
from welltuned.training.forecast.forecast import forecast_run
from welltuned.training.forecast.limits import Limits
from welltuned.training.forecast.plan import PlanRow, ResourcePlan, measured
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import prepare


def plan_adaptation(config: AdaptConfig, limits: Limits, progress: Working) -> ResourcePlan:
    """Forecast both stages. Raises `InputError` before that when the config cannot work.

    New tokens are not counted: they are found when the texts are read.
    """
    cache = DataCache()
    device = choose_device(config.training.device)
    held, machine = process_memory.held_at_start(device.type), measured(device, progress)
    limits = limits.or_what_is_left(Path(config.output_dir or "runs"), device, held)
    rows = []
    with TemporaryDirectory() as folder:
        for name, run in _stages(config, Path(folder), cache):
            plan = prepare(run, cache=cache)
            training = plan.config.training.resolved()
            found = forecast_run(plan, plan.config.strategy, training, machine, held)
            rows.append(PlanRow(name, True, found, exceeds=limits.exceeded_by(found)))
            progress("rehearsing stages", len(rows), 2)
    return ResourcePlan(rows, limits, [], machine, "stage")


def _stages(config: AdaptConfig, folder: Path, cache: DataCache) -> Iterator[tuple[str, RunConfig]]:
    texts = folder / "texts.jsonl"
    read_and_check(config, Observer(), cache).write(texts)
    yield (
        f"adapt: {config.adaptation.strategy.type}",
        reading_run(config, config.model, texts, folder / "run"),
    )
    yield f"run: {config.strategy.type}", labelled_run(config, config.model)
