"""The verb that carries another library's config over: `migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from welltuned.cli.app import Json, app, print_json
from welltuned.cli.words import NEW_CONFIG, take_words


@app.command("migrate")
def migrate_command(
    file: Annotated[str, typer.Argument(help="A config of LLaMA-Factory, TRL or axolotl.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[out=welltuned.yaml] [from=LIBRARY] [key=value …]",
            help="The file to write, the library where its keys do not tell, and keys of ours.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Carry a config of LLaMA-Factory, TRL or axolotl over, and tell what became of each key.

    What was carried over stands in the new file with where it is from; what was not, with why.
    """
    from pathlib import Path

    from welltuned.drafts.commented import require_new, write_new
    from welltuned.drafts.migration.migrate import LIBRARIES, migrate_config
    from welltuned.errors import InputError

    choices = {"from": tuple(LIBRARIES)}
    words, overrides = take_words(arguments or [], {"out": NEW_CONFIG, "from": None}, choices)
    target = Path(words["out"] or NEW_CONFIG).expanduser()
    require_new(target)
    migration = migrate_config(Path(file).expanduser(), overrides, words["from"])
    write_new(target, migration.text)
    if as_json:
        findings = [one.as_dict() for one in migration.findings]
        missing = [fault.as_dict() for fault in migration.missing]
        told = {"library": migration.library, "file": str(target), "keys": findings}
        print_json({**told, "config": migration.values, "missing": missing})
        if missing:
            raise typer.Exit(InputError.exit_status)
        return
    from welltuned.cli.console.migrate import show_migration
    from welltuned.cli.console.run import results_console

    results_console().print(show_migration(migration, str(target)))
    if migration.missing:
        raise InputError(migration.missing)
