"""The verb that searches hyper-parameters: `sweep`."""

from __future__ import annotations

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments


@app.command("sweep")
def sweep_command(
    arguments: Arguments = None, as_json: Json = False, allow_imports: AllowImports = False
) -> None:
    """Try hyper-parameters, trial after trial, and write the best as a config.

    `trials=30`, `metric=accuracy`, `pruner=none`, `timeout=2h` and the other keys of `sweep:`
    may stand on the line. The same command again goes on; started twice at once, both work on
    the one sweep.
    """
    from welltuned.cli.console.run import print_lines
    from welltuned.experiments.search.config import read_sweep_config
    from welltuned.schema.versions import SWEEP

    config, document = read_sweep_config(*split_arguments(arguments))
    from welltuned.cli.console.sweep import SweepConsole, sweep_lines
    from welltuned.experiments.search.sweep import run_sweep

    observer = SweepConsole()
    try:
        folder = run_sweep(config, document, observer)
    finally:
        observer.close()
    if as_json:
        print_json(SWEEP.read(folder / "sweep.json"))
    else:
        print_lines(sweep_lines(folder))
