"""The verb that compares strategies: `compare`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments

if TYPE_CHECKING:
    from welltuned.runs.comparison_folder import Comparison


@app.command("compare")
def compare_command(
    arguments: Arguments = None, as_json: Json = False, allow_imports: AllowImports = False
) -> None:
    """Compare strategies, on one model or several, on your data: evidence and a choice.

    A config, or a data file alone: then models that suit it and are here are compared.
    """
    file, overrides = split_arguments(arguments)
    print_comparison(compare_at_terminal(file, overrides), as_json)


def compare_at_terminal(file: str | None, overrides: list[str]) -> Comparison:
    """Compare, telling a person at a terminal what happens."""
    from welltuned.cli.console.comparison import LiveTable
    from welltuned.errors import Faults
    from welltuned.experiments.comparison.compare import run_comparison
    from welltuned.experiments.comparison.config import read_comparison

    faults = Faults()
    config, document = read_comparison(file, overrides, faults)
    faults.raise_if_any()
    assert config is not None
    with LiveTable() as table:
        command = "welltuned " + shlex.join(sys.argv[1:])
        return run_comparison(config, document, table, command)


def print_comparison(comparison: Comparison, as_json: bool) -> None:
    """The table and the recommendation, on standard output.

    The exit status is 1 when no run of any strategy has finished.
    """
    from welltuned.cli.console.comparison import conclusion, results_table
    from welltuned.cli.console.run import results_console

    if as_json:
        print_json({"comparison": str(comparison.folder), **comparison.results})
    else:
        results_console().print(results_table(comparison.results))
        print()
        print("\n".join(conclusion(comparison)))
    if comparison.results["best"] is None:
        raise typer.Exit(1)
