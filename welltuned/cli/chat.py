"""The verb that talks with a tuned generator: `chat`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from welltuned import load
from welltuned.cli.app import AllowImports, app
from welltuned.schema.collector import collector_paused


@app.command("chat")
def chat_command(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    allow_imports: AllowImports = False,
) -> None:
    """Talk with a tuned generator; /new begins again, an empty line or /quit ends."""
    with collector_paused(freeze=True):
        predictor = load(run)
    turns: list[dict[str, str]] = []
    while (line := _ask("> ")) not in ("", "/quit"):
        if line == "/new":
            turns = []
            continue
        turns.append({"role": "user", "content": line})
        answer = predictor.say(turns, _write)
        if predictor.forgets(turns):
            print("\n(too long: the beginning was not read)", end="", file=sys.stderr)
        print(flush=True)
        turns.append({"role": "assistant", "content": answer})


def _ask(prompt: str) -> str:
    """A line of standard input, empty at its end; the prompt goes to people, not into pipes."""
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _write(text: str) -> None:
    print(text, end="", flush=True)
