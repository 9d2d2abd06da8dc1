"""The verb that trains: `train`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments
from welltuned.schema.collector import collector_paused

if TYPE_CHECKING:
    from welltuned.runs import Run
    from welltuned.training.observer import Observer


Verbose = Annotated[bool, typer.Option("--verbose", help="Print where the time went.")]


@app.command("train")
def train_command(
    arguments: Arguments = None,
    as_json: Json = False,
    verbose: Verbose = False,
    allow_imports: AllowImports = False,
) -> None:
    """Fine-tune: data, model, strategy, training, test, proof and report.

    With `data.folds` a run of each fold, and one on all of them.
    With `pipeline: rlhf` supervised fine-tuning, a reward model and reinforcement learning; with
    `pipeline: adapt` unlabelled texts first.
    """
    file, overrides = split_arguments(arguments)
    command = "welltuned " + shlex.join(sys.argv[1:])
    run = observed(lambda observer: carry_out(file, overrides, observer, command))
    print_run(run, as_json, verbose)


def observed(work: Callable[[Observer], Run], begins_process: bool = True) -> Run:
    """A run that is told on standard error.

    What a process did before its first run counts as that run's time, such as imports.
    """
    from welltuned.cli.console.run import ConsoleObserver
    from welltuned.runs.phases import CLOCK
    from welltuned.runs.process_age import process_age
    from welltuned.runs.status import interruptible
    from welltuned.training.waits import telling_waits

    CLOCK.expect(process_age() if begins_process else 0.0)
    observer: ConsoleObserver = ConsoleObserver()
    try:
        with interruptible(), telling_waits(observer):
            return work(observer)
    finally:
        observer.close()


def carry_out(file: str | None, overrides: list[str], observer: Observer, command: str) -> Run:
    """The run that a config and keys ask for: a single one, one of folds, or a pipeline."""
    from welltuned.experiments.adaptation.read_config import ADAPT, load_adapt_config
    from welltuned.runs.phases import phase
    from welltuned.schema.document import peek

    pipeline_type = peek(file, overrides, "pipeline")
    if pipeline_type == ADAPT:
        adapting = load_adapt_config(file, overrides)
        with phase("import"), collector_paused(freeze=True):
            from welltuned.experiments.adaptation.pipeline import run_adaptation

        return run_adaptation(adapting, observer, command)
    if pipeline_type is not None:
        from welltuned.rlhf.read_config import load_rlhf_config

        pipeline = load_rlhf_config(file, overrides)
        with phase("import"), collector_paused(freeze=True):
            from welltuned.rlhf.pipeline import run_pipeline

        return run_pipeline(pipeline, observer, command)
    from welltuned.training.preparation.load_config import load_config

    # What is wrong with it is told before torch is imported, which takes seconds.
    config = load_config(file, overrides)
    if config.data.is_cross_validated:
        with phase("import"), collector_paused(freeze=True):
            from welltuned.experiments.cross_validation.cross_validate import run_cross_validation

        return run_cross_validation(config, observer, command)
    with phase("import"), collector_paused(freeze=True):
        from welltuned.training.train import run_training

    return run_training(config, observer, command=command)


def print_run(run: Run, as_json: bool, verbose: bool) -> None:
    """Its results on standard output."""
    from welltuned.cli.console.run import phase_lines, policy_lines, print_lines, results_lines

    if as_json:
        print_json({"run": str(run.folder), **run.results})
        return
    lines = policy_lines(run) if run.results["metric"] == "reward" else results_lines(run)
    print_lines([*lines, *phase_lines(run.results["cost"])] if verbose else lines)
