"""A run whose model reads unlabelled texts first: the adapted model, then an ordinary run from it.

    runs/NAME/         an ordinary run; its `model` is the adapted one, its results tell of both
    runs/adapted/KEY/  the adapted model, which other runs find there (`checkpoint`)

What is interrupted goes on when the same config is trained again.
"""

from __future__ import annotations

from pathlib import Path

from welltuned.config import RunConfig
from welltuned.engines import distributed
from welltuned.errors import Fault, Faults, InputError
from welltuned.experiments.adaptation import checkpoint as checkpoints
from welltuned.experiments.adaptation.checkpoint import Checkpoint
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.reading_run import kind_of_model
from welltuned.experiments.adaptation.texts import AdaptationTexts, collect_reading
from welltuned.models.config import ModelConfig
from welltuned.reports.run import write_run_report
from welltuned.runs import Run
from welltuned.runs.phases import phase
from welltuned.schema.messages import render_message
from welltuned.training.decisions import is_interrupted
from welltuned.training.observer import Observer
from welltuned.training.output_folder import RUNS, with_output_folder
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import check_run
from welltuned.training.train import run_training, train_or_resume
from welltuned.training.waits import telling_waits


def run_adaptation(
    config: AdaptConfig,
    observer: Observer | None = None,
    command: str | None = None,
    cache: DataCache | None = None,
) -> Run:
    """Adapt the model, or find it adapted, and carry out the run from there; returns that run.

    Raises `InputError` before any weight is loaded when something cannot work in either, and
    `RunFailed` as they do.
    """
    observer, cache = observer or Observer(), cache or DataCache()
    _require_one_process()
    with telling_waits(observer), phase("data"):
        reading = read_and_check(config, observer, cache)
        adapted = Checkpoint.of(config, reading, _beside(config))
        asked = labelled_run(config, adapted.adapted)
        _require_folder(asked)
    checkpoints.make(adapted, train_or_resume, observer, command, cache)
    train = run_training if asked.output_dir is None else train_or_resume
    return tell_of_reading(train(asked, observer, command, cache))


def tell_of_reading(run: Run) -> Run:
    """The run, whose results and report tell of what its model has read, if it has."""
    record = checkpoints.record_of(run.config["model"]["name"])
    if record is not None and distributed.is_main():
        run.write("results.json", {**run.results, "adaptation": record})
        write_run_report(run)
    return run


def _require_one_process() -> None:
    if distributed.processes() > 1:
        raise InputError(
            Fault(
                "adapt.several_processes",
                "'pipeline: adapt' runs in one process",
                None,
                "start it without torchrun; or read the texts with torchrun as a run of its own, "
                "task: masked_language_modelling, and start from its folder",
            )
        )


def _require_folder(run: RunConfig) -> None:
    """Raise `InputError` for a folder that is in use, before texts are read for hours."""
    faults = Faults()
    if run.output_dir is None or not is_interrupted(Path(run.output_dir), run):
        with_output_folder(run, faults)
    faults.raise_if_any()


def read_and_check(config: AdaptConfig, observer: Observer, cache: DataCache) -> AdaptationTexts:
    """The texts to read. Raises `InputError` with what is wrong with them, or with the run."""
    kind_of_model(config)
    check_run(labelled_run(config, config.model), cache)
    reading = collect_reading(config, cache)
    for note in reading.notes:
        observer.noted(render_message(note))
    return reading


def labelled_run(config: AdaptConfig, model: ModelConfig) -> RunConfig:
    """The ordinary run that learns the task, from this model."""
    own = {name: getattr(config, name) for name in RunConfig.model_fields}
    data = config.data.model_copy(update={"unlabelled": None})
    return RunConfig(**{**own, "model": model, "data": data})


def _beside(config: AdaptConfig) -> Path:
    return Path(config.output_dir).expanduser().parent if config.output_dir else Path(RUNS)
