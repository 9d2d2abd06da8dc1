"""The verb that compares: `compare`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments

if TYPE_CHECKING:
    from welltuned.runs.comparison import Comparison


@app.command()
def compare(arguments: Arguments = None, as_json: Json = False) -> None:
    """Compare strategies on your data: same splits, seeds and budget; evidence and a choice."""
    file, overrides = split_arguments(arguments)
    print_comparison(carry_out(file, overrides), as_json)


def carry_out(file: str | None, overrides: list[str]) -> Comparison:
    """Compare, telling a person at a terminal what happens."""
    from welltuned.comparison.carry_out import compare as carry_out_all
    from welltuned.comparison.config import read_comparison
    from welltuned.errors import Faults
    from welltuned.live import LiveTable

    faults = Faults()
    config, document = read_comparison(file, overrides, faults)
    faults.raise_if_any()
    assert config is not None
    with LiveTable() as table:
        command = "welltuned " + shlex.join(sys.argv[1:])
        return carry_out_all(config, document, table, command)


def print_comparison(comparison: Comparison, as_json: bool) -> None:
    """The table and the recommendation, on standard output."""
    from welltuned.console import results_console
    from welltuned.live import conclusion, results_table

    if as_json:
        print_json({"comparison": str(comparison.folder), **comparison.results})
        return
    results_console().print(results_table(comparison.results))
    print()
    for line in conclusion(comparison):
        print(line)
