"""A config of another library as one of ours: recognised, carried over, written with comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.drafts.commented import commented_yaml
from welltuned.drafts.given import given_keys
from welltuned.drafts.migration.axolotl import Axolotl
from welltuned.drafts.migration.carry import Carrying
from welltuned.drafts.migration.findings import KeyFinding, Migration
from welltuned.drafts.migration.library import ForeignConfig, Library
from welltuned.drafts.migration.llama_factory import LlamaFactory
from welltuned.drafts.migration.trl import Trl
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.schema.document import Document, read_document

LIBRARIES: Mapping[str, Library] = {
    "llama-factory": LlamaFactory(),
    "trl": Trl(),
    "axolotl": Axolotl(),
}
"""By the names that a person gives on the line."""


def migrate_config(file: Path, overrides: Sequence[str], library: str | None = None) -> Migration:
    """Carry a config over; `overrides` are keys here, and count before those of the file.

    Raises `InputError` where the file cannot be read, is of no library that is known, or asks for
    what there is nothing like here. What else is lost stands in the result.
    """
    faults = Faults()
    document = read_document(file, faults)
    asked = given_keys(overrides, faults)
    faults.raise_if_any()
    chosen = LIBRARIES[library] if library else _recognise(document)
    carrying = Carrying(chosen, ForeignConfig(document, file), asked)
    carrying.run()
    return Migration(
        library=chosen.table.library,
        file=str(file),
        findings=tuple(carrying.findings),
        values=carrying.document().values,
        text=_written(carrying),
        missing=tuple(carrying.faults),
    )


def _recognise(document: Document) -> Library:
    """The library most of whose own keys stand there."""
    marks = {
        name: len(one.table.marks & {*map(str, document.values)}) for name, one in LIBRARIES.items()
    }
    most = max(marks.values())
    best = [name for name, number in marks.items() if number == most]
    if most and len(best) == 1:
        return LIBRARIES[best[0]]
    raise InputError(
        Fault(
            "migrate.library_unknown",
            "the keys do not tell which library the config is for",
            Place(document.source),
            "say it: from={names}",
            names=" or from=".join(LIBRARIES),
        )
    )


def _written(carrying: Carrying) -> str:
    """The config as a file: what is from where, what is left, and what is missing."""
    library, file = carrying.library.table.library, carrying.foreign.file
    head = [f"Carried over from {library}: {file}"]
    head += [f"MISSING: {fault}" for fault in carrying.faults]
    left = [_left(one) for one in carrying.findings if one.outcome == "left"]
    tail = ["Not carried over:", *left] if left else []
    return commented_yaml(carrying.entries(), RunConfig, head, tail=tail)


def _left(one: KeyFinding) -> str:
    where = f" ({one.place.source}:{one.place.line})" if one.place and one.place.line else ""
    return f"  {one.key}: {one.value}{where}: {one.note}"
