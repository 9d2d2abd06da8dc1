"""Which static embedding stands beside TF-IDF: the one that is named, or one that is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from welltuned.data.language import main_language
from welltuned.errors import Fault, InputError
from welltuned.experiments.comparison.config import OFF, PROPOSED
from welltuned.experiments.comparison.worker.protocol import StaticSource
from welltuned.experiments.comparison.worker.static_embedding import LIBRARY
from welltuned.models.available import cached_folder, find_available
from welltuned.models.locations import locate
from welltuned.models.proposals import proposals_for


def find_static(asked: str, texts: Callable[[], Sequence[str]]) -> StaticSource | None:
    """The static embedding to use; None where there is none and none was named.

    `texts` are looked at where one has to be chosen by their language. Raises `InputError` where
    one that was named cannot be had.
    """
    if asked == OFF:
        return None
    installed = find_spec(LIBRARY) is not None
    if asked != PROPOSED:
        return _named(asked, installed)
    return _proposed(texts()) if installed else None


def _named(name: str, installed: bool) -> StaticSource:
    if not installed:
        raise InputError(
            Fault(
                "compare.static_library_missing",
                "'static: {name}' needs {library}, which is not installed",
                None,
                "pip install 'welltuned[static]', or write static: off",
                name=name,
                library=LIBRARY,
            )
        )
    folder = Path(locate(name)).expanduser()
    there = folder if folder.is_dir() else cached_folder(name)
    if there is None:
        raise InputError(
            Fault(
                "compare.static_missing",
                "the static embedding '{name}' is neither a folder nor in the Hub's cache",
                None,
                "check the path, fetch it (hf download NAME), or write static: off",
                name=name,
            )
        )
    return {"name": name, "path": str(there)}


def _proposed(texts: Sequence[str]) -> StaticSource | None:
    for proposal in proposals_for("static", main_language(texts), len(texts)):
        if (there := find_available(proposal.name, proposal.packages)) is not None:
            return {"name": there.name, "path": str(there.folder)}
    return None
