"""The texts that a model reads before it learns a task: unlabelled ones, and the training texts.

None of them is a validation or test text, unless a person says so: a model that has read what it
is tested on looks better than it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from welltuned.data.config import DataConfig, ExtraDataset
from welltuned.data.load_splits import DataSplits, collect_file
from welltuned.data.overlap.duplicates import normalise
from welltuned.data.records import Records
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.schema.messages import Message, message
from welltuned.tasks import PLAIN_TEXT_ROLES
from welltuned.training.preparation.data_cache import DataCache

_SHOWN = 5


@dataclass(frozen=True)
class AdaptationTexts:
    """Texts to read, each once, and what was found on the way."""

    texts: list[str]
    notes: list[Message] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """One hash of them all, in their order."""
        return hashlib.sha256("\0".join(self.texts).encode()).hexdigest()

    def write(self, file: Path) -> None:
        """As JSON lines."""
        lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in self.texts)
        file.write_text("".join(lines), encoding="utf-8")


def collect_reading(config: AdaptConfig, cache: DataCache) -> AdaptationTexts:
    """The texts of a config. Raises `InputError` with all faults found."""
    faults = Faults()
    labelled = config.data.model_copy(update={"unlabelled": None})
    splits = cache.splits(labelled, config.task, faults)
    named = config.data.unlabelled
    records = None if named is None else _unlabelled(named, config.data, cache, faults)
    if splits is None or (named is not None and records is None):
        raise InputError(faults)
    notes: list[Message] = []
    texts = [] if records is None else _apart(records, splits, config.data, notes, faults)
    faults.raise_if_any()
    if config.adaptation.training_texts:
        texts += list(_texts_of(splits.train))
    return _each_once(texts, config, notes)


def _unlabelled(
    named: ExtraDataset, data: DataConfig, cache: DataCache, faults: Faults
) -> Records | None:
    """The records of `data.unlabelled`. None when there were faults; they are recorded."""
    kept = {"quoting", "header", "encoding", "line_ends", "sheet", "json_layout", "json_path"}
    options = data.model_dump(include=kept)
    settings = DataConfig(train=named.data, columns=named.columns, **options)
    return collect_file(named.data, settings, PLAIN_TEXT_ROLES, faults, read=cache.read_path)


def _texts_of(records: Records) -> Iterator[str]:
    """All that a record asks, role by role; words of a list parted by spaces."""
    for cells in zip(*(records[role] for role in records.input_roles), strict=True):
        for cell in cells:
            yield " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)


def _apart(
    records: Records, splits: DataSplits, data: DataConfig, notes: list[Message], faults: Faults
) -> list[str]:
    """The texts, without those that the model is validated or tested on, as `data.duplicates` says.

    Shared ones are recorded as a fault, or counted in a note.
    """
    held = {
        normalise(text, data.compare_as)
        for split in ("validation", "test")
        for text in _texts_of(splits[split])
    }
    texts = [str(text) for text in records["text"]]
    shared = [i for i, text in enumerate(texts) if normalise(text, data.compare_as) in held]
    if not shared:
        return texts
    if data.duplicates == "error":
        _report_read_ahead(shared, records, faults)
        return texts
    if data.duplicates == "keep":
        notes.append(
            message(
                "adapt.held_out_texts_read",
                "{number:,} of {total:,} unlabelled texts are also in validation or test, and are "
                "read all the same (data.duplicates): scores may be too good.",
                number=len(shared),
                total=len(texts),
            )
        )
        return texts
    notes.append(
        message(
            "adapt.held_out_texts_left_out",
            "{number:,} of {total:,} unlabelled texts are also in validation or test, and are left "
            "out.",
            number=len(shared),
            total=len(texts),
        )
    )
    left_out = set(shared)
    return [text for i, text in enumerate(texts) if i not in left_out]


def _report_read_ahead(shared: list[int], records: Records, faults: Faults) -> None:
    lines = ", ".join(str(records.lines[i]) for i in shared[:_SHOWN])
    faults.add(
        "adapt.unlabelled_in_test",
        "{number:,} of {total:,} unlabelled texts are also in validation or test (line {lines}): "
        "the model would have read what it is tested on",
        records.place(shared[0]),
        "data.duplicates=drop leaves them out; keep reads them all the same",
        number=len(shared),
        total=len(records),
        lines=lines + (", …" if len(shared) > _SHOWN else ""),
    )


def _each_once(texts: list[str], config: AdaptConfig, notes: list[Message]) -> AdaptationTexts:
    """Raises `InputError` where nothing is left."""
    known: dict[str, str] = {}
    for text in texts:
        known.setdefault(normalise(text, config.data.compare_as), text)
    known.pop("", None)
    if not known:
        named = config.data.unlabelled
        raise InputError(
            Fault(
                "adapt.no_texts",
                "no unlabelled text is left to read",
                Place(config.data.train if named is None else named.data),
                "give texts that are not in validation or test, in a column such as 'text', or "
                "name it: data.unlabelled.columns.text=NAME",
            )
        )
    if len(known) < len(texts):
        notes.append(
            message(
                "adapt.repeated_texts",
                "{number:,} of {total:,} texts repeat others or are blank, and are read once or "
                "not at all.",
                number=len(texts) - len(known),
                total=len(texts),
            )
        )
    return AdaptationTexts(list(known.values()), notes)
