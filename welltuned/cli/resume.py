"""The verb that goes on with an interrupted run: `resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import AllowImports, Json, app
from welltuned.cli.train import Verbose, observed, print_run

if TYPE_CHECKING:
    from welltuned.errors import InputError
    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison
    from welltuned.training.observer import Observer

Accepted = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        help="A key of the config that may have changed since the run began, or 'data'.",
        metavar="KEY",
    ),
]


@app.command("resume")
def resume_command(
    run: Annotated[str, typer.Argument(help="The folder of the run.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="What changes from here on, as key=value.")
    ] = None,
    accept: Accepted = None,
    as_json: Json = False,
    verbose: Verbose = False,
    allow_imports: AllowImports = False,
) -> None:
    """Go on with a run that was stopped, killed or failed, as if nothing had happened.

    A pipeline goes on with the stage that was interrupted. A finished run trains for longer, where
    training.num_train_epochs or training.max_steps ask for it.
    """
    changes = overrides or [], accept or []
    print_run(observed(lambda observer: _carry_out(run, *changes, observer)), as_json, verbose)


def _carry_out(folder: str, overrides: list[str], accepted: list[str], observer: Observer) -> Run:
    from pathlib import Path

    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison
    from welltuned.runs.phases import phase
    from welltuned.schema.imports import collector_paused

    if Comparison.is_at(Path(folder)):
        raise _of_a_comparison(Comparison(Path(folder)))
    run = Run.open(folder)
    if run.is_pipeline:
        from welltuned.rlhf.read_config import load_rlhf_config

        changed = [*overrides, f"output_dir={folder}"]
        pipeline = load_rlhf_config(str(run.folder / "config.yaml"), changed)
        with phase("import"), collector_paused():
            from welltuned.rlhf.pipeline import run_pipeline

        return run_pipeline(pipeline, observer, None)
    with phase("import"), collector_paused():
        from welltuned.training.train import extend_training, resume_training

    if run.is_finished and overrides:
        return extend_training(Path(folder), overrides, observer)
    return resume_training(Path(folder), observer, overrides=overrides, accepted=accepted)


def _of_a_comparison(comparison: Comparison) -> InputError:
    from welltuned.errors import Fault, InputError, Place

    return InputError(
        Fault(
            "compare.resumed_otherwise",
            "a comparison goes on by the command that began it",
            Place(str(comparison.folder)),
            "{command}",
            command=comparison.record.get("command") or "`welltuned compare`, as before",
        )
    )
