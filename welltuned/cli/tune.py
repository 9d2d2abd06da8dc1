"""Verbs that find out what a run needs before it starts: `tune lr`, `tune data`."""

from __future__ import annotations

import typer

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments

tune = typer.Typer(
    help="Find out what a run needs before it starts.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(tune, name="tune")


@tune.command("lr")
def tune_learning_rate_command(
    arguments: Arguments = None, as_json: Json = False, allow_imports: AllowImports = False
) -> None:
    """Try learning rates from far too low to far too high in one short sweep, and suggest one.

    The model is left untouched; the curve goes into the output folder.
    """
    from welltuned.cli.console.run import ConsoleObserver, print_lines
    from welltuned.training.preparation.load_config import load_config

    file, overrides = split_arguments(arguments)
    observer = ConsoleObserver()
    try:
        config = load_config(file, overrides)
        from welltuned.experiments.search.lr_range import range_test_lines, run_lr_range_test

        test, folder = run_lr_range_test(config, observer)
    finally:
        observer.close()
    if as_json:
        print_json({"folder": str(folder), **test.as_dict()})
    else:
        print_lines(range_test_lines(test, folder))


@tune.command("data")
def tune_data_command(
    arguments: Arguments = None, as_json: Json = False, allow_imports: AllowImports = False
) -> None:
    """Measure how the score grows with the training data: is labelling more worth it?

    `seeds=5` and `shares=[0.1, 0.2, 0.5, 1]` may stand on the line. The same command again
    goes on where it was.
    """
    from welltuned.cli.console.run import print_lines
    from welltuned.experiments.search.config import CurveConfig, CurveSettings, read_asked
    from welltuned.schema.versions import LEARNING_CURVE

    given = split_arguments(arguments)
    config, document = read_asked(CurveConfig, "curve", CurveSettings, *given)
    from welltuned.cli.console.learning_curve import CurveConsole, curve_lines
    from welltuned.experiments.search.learning_curve import learning_curve

    observer = CurveConsole()
    try:
        folder = learning_curve(config, document, observer)
    finally:
        observer.close()
    if as_json:
        print_json(LEARNING_CURVE.read(folder / "learning_curve.json"))
    else:
        print_lines(curve_lines(folder))
