"""The verb that publishes a tuned model on the Hub: `push`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import AllowImports, Json, app, print_json
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from welltuned.deployment.hub.push import Push

_KEYS = ("license", "language")


@app.command("push")
def push_command(
    run: Annotated[str, typer.Argument(help="A run, a model folder, or an export.")],
    repo: Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="license=NAME [language=en,…]",
            help="The licence, as the Hub names it, and languages.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show every file and the card; send nothing.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="For everybody to see; else it is private.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Replace what the repository holds, if it exists.")
    ] = False,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Publish a tuned model on the Hub with a card of what is known of it; private by default."""
    options = _options(arguments or [])
    from welltuned.deployment.hub.card import Publication
    from welltuned.deployment.hub.push import prepare_push, send

    languages = tuple(filter(None, options.get("language", "").split(",")))
    push = prepare_push(run, Publication(repo, options["license"], languages))
    _tell(push)
    address = None if dry_run else send(push, public, update)
    if as_json:
        print_json(_as_json(push, address, public))
    elif address is None:
        print("\n".join([*_lines(push, public), "", push.card]))
    else:
        print(address)


def _options(arguments: list[str]) -> dict[str, str]:
    """`key=value` arguments. Raises `InputError` without a licence, or with another key."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if not given.get("license"):
        raise InputError(
            Fault(
                "cli.push_license",
                "push needs license=NAME: no licence is chosen for you",
                None,
                "for example license=apache-2.0; that of the base model may bind you",
            )
        )
    if unknown := sorted(set(given) - set(_KEYS)):
        raise InputError(
            Fault(
                "cli.push_options",
                "push knows no '{key}'",
                None,
                "give license=NAME and, if you like, language=en",
                key=unknown[0],
            )
        )
    return given


def _tell(push: Push) -> None:
    from welltuned.schema.messages import render_message

    for note in push.notes:
        print(render_message(note), file=sys.stderr)


def _lines(push: Push, public: bool) -> list[str]:
    """Every file with its size, and where they would go."""
    from welltuned.schema.units import size_text

    lines = [f"{size_text(upload.size):>10}  {upload.name}" for upload in push.uploads]
    seen = "public" if public else "private"
    whole = f"{len(push.uploads)} files would go to {push.publication.repo} ({seen})"
    return [*lines, f"{size_text(push.size):>10}  {whole}"]


def _as_json(push: Push, address: str | None, public: bool) -> dict[str, object]:
    return {
        "repo": push.publication.repo,
        "private": not public,
        "address": address,
        "bytes": push.size,
        "files": [{"name": upload.name, "bytes": upload.size} for upload in push.uploads],
        "card": push.card,
    }
