"""How often files are really read and records really tokenised, by whoever is asked to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from welltuned.data.readers.formats import FORMATS
from welltuned.tasks import Codec


class Work:
    """Counts of this process."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()
        """By the name of the file; those that we bring ourselves are small, and not counted."""
        self.tokenised: Counter[tuple[str, str, tuple[int, ...]]] = Counter()
        """By the kind of codec, the file, and its lines."""

    def times_tokenised(self, file: str) -> set[int]:
        """How often each large part of a file was tokenised; proofs take a few records more."""
        return {
            n for (_, name, lines), n in self.tokenised.items() if name == file and len(lines) > 20
        }

    @property
    def counts(self) -> dict[str, int]:
        return {"read": self.read.total(), "tokenised": self.tokenised.total()}


def count_work(patch: pytest.MonkeyPatch) -> Work:
    """From now on, as long as the patch lasts."""
    work = Work()
    for suffix, reader in FORMATS.items():
        patch.setitem(FORMATS, suffix, _reading(reader, work))
    for kind in _every_kind(Codec):
        if "encode" in vars(kind):
            patch.setattr(kind, "encode", _counting(kind.encode, work))
    return work


def _every_kind(kind: type[Any]) -> list[type[Any]]:
    return [kind, *(one for below in kind.__subclasses__() for one in _every_kind(below))]


def _reading(reader: Callable[..., Any], work: Work) -> Callable[..., Any]:
    def reading(raw: bytes, name: str, *arguments: Any) -> Any:
        if not name.startswith("demo:"):
            work.read[name] += 1
        return reader(raw, name, *arguments)

    return reading


def _counting(encode: Callable[..., Any], work: Work) -> Callable[..., Any]:
    def encoding(codec: Any, tokenizer: Any, records: Any, *arguments: Any) -> Any:
        work.tokenised[type(codec).__name__, records.source, tuple(records.lines)] += 1
        return encode(codec, tokenizer, records, *arguments)

    return encoding
