"""The verb that goes on with an interrupted run: `resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import AllowImports, Json, app
from welltuned.cli.train import Verbose, observed, print_run

if TYPE_CHECKING:
    from welltuned.runs import Run
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
    import welltuned as wt

    def resumed(observer: Observer) -> Run:
        return wt.resume(run, *(overrides or []), accept=accept or [], observer=observer)

    print_run(observed(resumed), as_json, verbose)
