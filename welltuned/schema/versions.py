"""Schema versions: every kind of file we write says its own, and each is checked when it is read.

A file of a newer version is refused, for what it says may be misunderstood; one of an older
version is read. Files that say no version were written before there was a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.schema.document import Document
from welltuned.schema.secrets import masked_keys
from welltuned.schema.written_file import read_mapping

KEY = "schema_version"


@dataclass(frozen=True)
class FileFormat:
    """A kind of file, and the version of its format that we write."""

    content: str
    """What such a file holds, for people."""
    version: int

    def stamp(self, values: Mapping[str, object]) -> dict[str, object]:
        """The content of a file with its version before everything else."""
        return {KEY: self.version, **values}

    def objection(self, values: Mapping[str, object], place: Place) -> Fault | None:
        """What stands against reading a file with this content, if anything."""
        written = values.get(KEY, 1)
        if type(written) is not int or written < 1:
            return Fault(
                "schema.bad_version",
                "'{key}' is {written!r}, which is not a version of {content}",
                place,
                "restore the file; this version writes {version}",
                key=KEY,
                written=written,
                content=self.content,
                version=self.version,
            )
        if written > self.version:
            return Fault(
                "schema.newer_version",
                "{content} has schema version {written}, but this welltuned reads versions up to "
                "{version}",
                place,
                "install a newer welltuned: pip install --upgrade welltuned",
                content=self.content,
                written=written,
                version=self.version,
            )
        return None

    def check(self, values: Mapping[str, object], source: object) -> int:
        """The version of a file that was read from `source`.

        Raises `InputError` when it is newer than this one, or no version at all.
        """
        fault = self.objection(values, Place(str(source)))
        if fault is not None:
            raise InputError(fault)
        written = values.get(KEY, 1)
        assert isinstance(written, int)
        return written

    def read(self, file: Path) -> dict[str, Any]:
        """A file of this kind. Raises `InputError` as `check` does, and where it is damaged."""
        values = read_mapping(file)
        self.check(values, file)
        return values


def drop_version(document: Document, faults: Faults) -> bool:
    """Take the version out of a config that a run has written, for such a config can be run too.

    False where it is of a newer version, which is recorded as a fault.
    """
    fault = RUN_CONFIG.objection(document.values, document.place((KEY,)))
    document.values.pop(KEY, None)
    if fault is not None:
        faults.extend([fault])
    for key in masked_keys(document.values):
        faults.add(
            "config.secret_masked",
            "'{key}' was masked when this config was written",
            document.place(key.split(".")),
            "give the secret again, {key}=…, or remove the key",
            key=key,
        )
    return fault is None


RUN_CONFIG = FileFormat("a run's config", 1)
"""config.yaml of a run, of a pipeline and of its stages."""
RUN_RESULTS = FileFormat("a run's results", 1)
"""results.json of a run. In version 1 it does not say so."""
COMPARISON = FileFormat("a comparison", 1)
"""comparison.json."""
COMPARISON_RESULTS = FileFormat("a comparison's results", 1)
"""results.json of a comparison."""
SWEEP = FileFormat("a sweep", 1)
"""sweep.json. Files of earlier releases do not say their version."""
LEARNING_CURVE = FileFormat("a learning curve", 1)
"""learning_curve.json. Files of earlier releases do not say their version."""
SUSPECTS = FileFormat("labels to check", 1)
"""suspects.json."""
ANSWERS = FileFormat("where answers come from", 1)
"""FILE.origin.json, beside a file of answers."""
ARTIFACT = FileFormat("a tuned model", 2)
"""welltuned.json. Version 1 held the strategy's type without its options."""
EXPORT = FileFormat("an exported model", 1)
"""export.json."""
