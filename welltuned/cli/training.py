"""The verb that trains: `train`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments

if TYPE_CHECKING:
    from welltuned.console import ConsoleObserver
    from welltuned.runs import Run


@app.command()
def train(arguments: Arguments = None, as_json: Json = False) -> None:
    """Fine-tune: data, model, strategy, training, test, proof and report."""
    file, overrides = split_arguments(arguments)
    run = _train(file, overrides)
    _print_run(run, as_json)


def _train(file: str | None, overrides: list[str]) -> Run:
    from welltuned.console import ConsoleObserver
    from welltuned.pipeline import train as carry_out
    from welltuned.preparation import load_config

    observer: ConsoleObserver = ConsoleObserver()
    try:
        return carry_out(
            load_config(file, overrides), observer, command="welltuned " + shlex.join(sys.argv[1:])
        )
    finally:
        observer.close()


def _print_run(run: Run, as_json: bool) -> None:
    from welltuned.console import print_lines, results_lines

    if as_json:
        print_json({"run": str(run.folder), **run.results})
    else:
        print_lines(results_lines(run))
