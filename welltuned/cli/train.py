"""The verb that trains: `train`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments

if TYPE_CHECKING:
    from welltuned.runs import Run
    from welltuned.training.observer import Observer


@app.command("train")
def train_command(arguments: Arguments = None, as_json: Json = False) -> None:
    """Fine-tune: data, model, strategy, training, test, proof and report.

    With `pipeline: rlhf` supervised fine-tuning, a reward model and reinforcement learning.
    """
    file, overrides = split_arguments(arguments)
    run = _train(file, overrides)
    _print_run(run, as_json)


def _train(file: str | None, overrides: list[str]) -> Run:
    from welltuned.cli.console.run import ConsoleObserver

    observer: ConsoleObserver = ConsoleObserver()
    try:
        return _carry_out(file, overrides, observer, "welltuned " + shlex.join(sys.argv[1:]))
    finally:
        observer.close()


def _carry_out(file: str | None, overrides: list[str], observer: Observer, command: str) -> Run:
    from welltuned.schema.document import peek

    if peek(file, overrides, "pipeline") is not None:
        from welltuned.rlhf import pipeline, read_config

        return pipeline.run_pipeline(
            read_config.load_rlhf_config(file, overrides), observer, command
        )
    from welltuned.training.load_config import load_config
    from welltuned.training.train import run_training as carry_out

    return carry_out(load_config(file, overrides), observer, command=command)


def _print_run(run: Run, as_json: bool) -> None:
    from welltuned.cli.console.run import policy_lines, print_lines, results_lines

    if as_json:
        print_json({"run": str(run.folder), **run.results})
    else:
        print_lines(policy_lines(run) if run.results["metric"] == "reward" else results_lines(run))
