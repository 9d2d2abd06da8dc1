"""The Typer app that all verbs share: argument parsing, JSON output, exit codes."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Annotated

import typer

from welltuned.errors import Fault, Place, RunFailed, WelltunedError
from welltuned.schema.import_path import ALLOWED
from welltuned.schema.secrets import masked, masked_text

app = typer.Typer(
    help="Fine-tune a pretrained language model on your own data, "
    "and see with evidence which way is right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(given: bool) -> None:
    if given:
        from welltuned import __version__

        print(f"welltuned {__version__}")
        raise typer.Exit


@app.callback()
def options_of_no_verb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """What may stand before a verb."""


Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG.yaml] [key=value …]", help="A config file, and keys that override it."
    ),
]


def _allow_imports(given: bool) -> bool:
    """For this process and those that it starts."""
    if given:
        os.environ[ALLOWED] = "1"
    return given


AllowImports = Annotated[
    bool,
    typer.Option(
        "--allow-imports",
        callback=_allow_imports,
        help="Run code that a config file or a model names: engines, rewards, metrics.",
    ),
]
"""For verbs that read files in which code may be named; its callback does what it says."""
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]


def split_arguments(arguments: list[str] | None) -> tuple[str | None, list[str]]:
    """A config file, if the first argument is no `key=value`, and the overrides."""
    given = list(arguments or [])
    if given and "=" not in given[0]:
        return given[0], given[1:]
    return None, given


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_faults(error: WelltunedError) -> None:
    """Each fault on a line of standard error; with --json as JSON where results would be."""
    if "--json" in sys.argv:
        print_json(masked({"errors": [fault.as_dict() for fault in error.faults]}))
    else:
        for fault in error.faults:
            print(masked_text(f"error: {fault}"), file=sys.stderr)


def main() -> None:
    """The entry point: errors become one line each, or JSON, and an exit status."""
    # PEFT imports it where it is installed, and it logs which of its kernels it does without.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        app()
    except WelltunedError as error:
        _print_faults(error)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        fault = _fault_of_system(error)
        _print_faults(RunFailed(fault))
        sys.exit(RunFailed.exit_status)


def _fault_of_system(error: OSError) -> Fault:
    """A file that could not be read or written where no words of ours stand ready."""
    place = Place(str(error.filename)) if error.filename else None
    reason = error.strerror or str(error)
    return Fault("cli.system_refused", "{reason}", place, "check the path", reason=reason)
