"""Schema versions: every kind of file we write says its own, and each is checked when it is read.

A file of a newer version is refused, for what it says may be misunderstood; one of an older
version is read. Files that say no version were written before there was a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from welltuned.errors import Fault, InputError, Place

KEY = "schema_version"


@dataclass(frozen=True)
class FileFormat:
    """A kind of file, and the version of its format that we write."""

    content: str
    """What such a file holds, for people."""
    version: int

    def stamp(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a file with its version before everything else."""
        return {KEY: self.version, **values}

    def fault(self, values: Mapping[str, Any], place: Place) -> Fault | None:
        """What stands against reading a file with this content, if anything."""
        written = values.get(KEY, 1)
        if type(written) is not int or written < 1:
            what = f"'{KEY}' is {written!r}, which is not a version of {self.content}"
            return Fault(what, place, f"restore the file; this version writes {self.version}")
        if written > self.version:
            what = f"{self.content} of schema version {written}; versions up to {self.version} are"
            remedy = "install a newer welltuned: pip install --upgrade welltuned"
            return Fault(f"{what} understood here", place, remedy)
        return None

    def check(self, values: Mapping[str, Any], source: object) -> int:
        """The version of a file that was read from `source`.

        Raises `InputError` when it is newer than this one, or no version at all.
        """
        fault = self.fault(values, Place(str(source)))
        if fault is not None:
            raise InputError(fault)
        return int(values.get(KEY, 1))


RUN_CONFIG = FileFormat("a run's config", 1)
"""config.yaml of a run, of a pipeline and of its stages."""
RUN_RESULTS = FileFormat("a run's results", 1)
"""results.json of a run. In version 1 it does not say so."""
COMPARISON = FileFormat("a comparison", 1)
"""comparison.json."""
COMPARISON_RESULTS = FileFormat("a comparison's results", 1)
"""results.json of a comparison."""
ARTIFACT = FileFormat("a tuned model", 2)
"""welltuned.json. Version 1 held the strategy's type without its options."""
