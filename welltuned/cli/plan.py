"""The verb that forecasts memory, time and disk: `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import AllowImports, Json, app, print_json, split_arguments
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from welltuned.training.forecast.gpus import Gpus


@app.command("plan")
def plan_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG.yaml] [memory=4GiB] [time=30m] [disk=2GB] [gpus=8x80GB] [key=value …]",
            help="A config file, limits or GPUs, and keys that override it; with --check a folder "
            "of runs.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Forecast finished runs, and compare.")
    ] = False,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Tell memory, time and disk of every strategy, or stage, before any weight is loaded.

    The first call measures this machine, for some seconds. With gpus=8x80GB: the memory of each of
    such GPUs, in every usual way; the model may be a config and a tokenizer alone.
    """
    if check:
        _check(arguments or [], as_json)
    else:
        _plan(arguments, as_json)


def _plan(arguments: list[str] | None, as_json: bool) -> None:
    from welltuned.cli.console.run import ConsoleObserver, results_console
    from welltuned.errors import Faults
    from welltuned.experiments.adaptation.read_config import ADAPT
    from welltuned.schema.document import peek
    from welltuned.training.forecast.gpus import take_gpus
    from welltuned.training.forecast.limits import take_limits

    file, overrides = split_arguments(arguments)
    faults = Faults()
    gpus, overrides = take_gpus(overrides, faults)
    limits, overrides = take_limits(overrides, faults)
    faults.raise_if_any()
    if gpus is not None:
        _plan_for(gpus, file, overrides, as_json)
        return
    observer = ConsoleObserver()
    try:
        pipeline_type = peek(file, overrides, "pipeline")
        if pipeline_type == ADAPT:
            from welltuned.experiments.adaptation.read_config import load_adapt_config

            adapting = load_adapt_config(file, overrides)
            from welltuned.experiments.adaptation.forecast import plan_adaptation

            made = plan_adaptation(adapting, limits, observer.working)
        elif pipeline_type is not None:
            from welltuned.rlhf.read_config import load_rlhf_config

            pipeline = load_rlhf_config(file, overrides)
            from welltuned.rlhf.forecast import plan_pipeline

            made = plan_pipeline(pipeline, limits, observer.working)
        else:
            from welltuned.training.preparation.load_config import load_config

            config = load_config(file, overrides)
            from welltuned.training.forecast.plan import plan_resources

            made = plan_resources(config, limits, observer.working)
    finally:
        observer.close()
    if as_json:
        print_json(made.as_dict())
    else:
        from welltuned.cli.console.plan import render_plan

        results_console().print(render_plan(made))


def _plan_for(gpus: Gpus, file: str | None, overrides: list[str], as_json: bool) -> None:
    """Of each of these GPUs, which need not be here."""
    from welltuned.cli.console.gpu_plan import render_gpu_plan
    from welltuned.cli.console.run import ConsoleObserver, results_console
    from welltuned.training.forecast.gpu_plan import plan_gpus
    from welltuned.training.preparation.load_config import load_config

    observer = ConsoleObserver()
    try:
        made = plan_gpus(load_config(file, overrides), gpus, observer.working)
    finally:
        observer.close()
    if as_json:
        print_json(made.as_dict())
    else:
        results_console().print(render_gpu_plan(made))


def _check(arguments: list[str], as_json: bool) -> None:
    from pathlib import Path

    from welltuned.cli.console.plan import render_check
    from welltuned.cli.console.run import ConsoleObserver, results_console
    from welltuned.training.forecast.accuracy import check_forecasts

    if len(arguments) > 1 or any("=" in argument for argument in arguments):
        raise InputError(
            Fault(
                "cli.plan_check_folder",
                "plan --check takes one folder of runs",
                None,
                "for example: welltuned plan --check runs",
            )
        )
    observer = ConsoleObserver()
    try:
        checks = check_forecasts(Path(arguments[0] if arguments else "runs"), observer.working)
    finally:
        observer.close()
    if as_json:
        print_json(checks.as_dict())
    else:
        results_console().print(render_check(checks))
