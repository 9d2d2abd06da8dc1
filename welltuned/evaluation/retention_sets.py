"""Retention sets: the embedded texts, and the user's own, on which forgetting is measured.

None of them may be in the test split: protections may read them in training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from welltuned.data.config import DataConfig, ExtraDataset
from welltuned.data.load_splits import DataSplits, collect_file
from welltuned.data.overlap.duplicates import normalise
from welltuned.data.readers.formats import ReadPath, read_path
from welltuned.data.records import Records, Role
from welltuned.data.sources import name_of, read_file
from welltuned.data.splits import draw
from welltuned.data.table import SPLITS
from welltuned.errors import Faults
from welltuned.evaluation.config import EvaluationConfig
from welltuned.evaluation.linear_probe import FOLDS
from welltuned.schema.messages import Message, message
from welltuned.tasks import TEXT_TASK

MOST_LABELLED, MOST_TEXTS = 2000, 500
"""The most rows of a set that are used; larger ones are subsampled."""
_MOST_CLASSES = 200
_FEWEST = 10
_LOOKED_AT = 500
_SHOWN = 5

_TEXT = Role(
    "text", ("text", "sentence", "content", "review", "document", "passage"), is_input=True
)
_LABEL = Role(
    "label",
    ("label", "labels", "class", "category", "topic", "sentiment", "intent", "target"),
    is_target=True,
)
_ENGLISH = ("topics_en", "sentiment_en")
EMBEDDED = {
    "en": (_ENGLISH, ("general_en", "general_zh")),
    "zh": (("topics_zh", "sentiment_zh"), _ENGLISH, ("general_zh", "general_en")),
}
"""By language: of each line the first set is taken that shares no text with the test split, since
the training domain cannot reveal forgetting. Many models that read Chinese read English too."""


@dataclass(frozen=True)
class TextSet:
    """Texts without labels."""

    name: str
    records: Records
    """As the task reads them where it generates text, else with the role `text` alone."""

    @property
    def texts(self) -> list[str]:
        return [str(text) for text in self.records["text"]]


@dataclass(frozen=True)
class LabelledSet(TextSet):
    """Texts with the class of each."""

    classes: np.ndarray
    """The class of each text by number (N)."""
    labels: tuple[str, ...]


@dataclass(frozen=True)
class RetentionSets:
    """Everything on which forgetting is measured."""

    labelled: tuple[LabelledSet, ...] = ()
    texts: tuple[TextSet, ...] = ()
    notes: tuple[Message, ...] = ()
    """What a person should know."""

    def require_apart(self, records: Records, compare_as: str, faults: Faults) -> None:
        """Record texts that are both trained on and measured on."""
        for one in (*self.labelled, *self.texts):
            where = f"'{one.name}', on which forgetting is measured"
            refuse_shared(records, one.records, where, compare_as, faults)


def collect_sets(
    evaluation: EvaluationConfig,
    data: DataSplits,
    config: DataConfig,
    faults: Faults,
    has_lm_head: bool,
    read: ReadPath = read_path,
) -> RetentionSets:
    """The embedded and the named sets; faults are recorded. Empty when nothing is measured.

    `speaks` tells whether the model generates text: then conversations are read too.
    """
    if not evaluation.retained:
        return RetentionSets()
    texts = texts_of(data)
    notes: list[Message] = []
    choices = EMBEDDED[language_of(texts)]
    found = [
        one
        for one in (_embedded(choice, data, config, has_lm_head, read) for choice in choices)
        if one is not None
    ]
    names = Counter(one.name for one in found)
    for named in evaluation.retention:
        records = _read(named, has_lm_head, faults, read)
        if records is None or refuse_shared(
            records, data.test, "the test split", config.compare_as, faults
        ):
            continue
        name = name_of(named.data, (*SPLITS, "data")) or Path(named.data).stem or "named"
        names[name] += 1
        if names[name] > 1:
            name = f"{name}_{names[name]}"
        one = _as_set(name, records, notes, faults)
        found += [one] if one is not None else []
    return RetentionSets(
        tuple(one for one in found if isinstance(one, LabelledSet)),
        tuple(one for one in found if not isinstance(one, LabelledSet)),
        tuple(notes),
    )


def embedded_text(language: str, has_lm_head: bool) -> TextSet:
    """The half of an embedded general text that forgetting is *not* measured on."""
    faults = Faults()
    name = f"general_{language}"
    records = _read(ExtraDataset(data=f"demo:{name}"), has_lm_head, faults)
    faults.raise_if_any()
    assert records is not None
    return TextSet(name, _half(records, 1))


def texts_of(data: DataSplits) -> list[str]:
    """Some of the task's own training texts."""
    train = data.train.take(range(min(_LOOKED_AT, len(data.train))))
    return list(_cells(train))


def language_of(texts: Iterable[str]) -> str:
    """`zh` where most letters are Chinese, Japanese or Korean ones, else `en`."""
    letters = [character for text in texts for character in text if character.isalpha()]
    return "zh" if 2 * sum(map(_is_cjk, letters)) > len(letters) else "en"


def _is_cjk(character: str) -> bool:
    return any(
        low <= character <= high
        for low, high in (("\u3040", "\u30ff"), ("\u3400", "\u9fff"), ("\uac00", "\ud7af"))
    )


# --- Reading -------------------------------------------------------------------


def _embedded(
    names: Sequence[str], data: DataSplits, config: DataConfig, has_lm_head: bool, read: ReadPath
) -> TextSet | None:
    """The first of some embedded sets that shares no text with the task; None when all do."""
    for name in names:
        faults = Faults()
        records = _read(ExtraDataset(data=f"demo:{name}"), has_lm_head, faults, read)
        faults.raise_if_any()
        assert records is not None
        if not refuse_shared(records, data.test, "test", config.compare_as, Faults()):
            found = _as_set(name, records, [], faults)
            return found if isinstance(found, LabelledSet) else TextSet(name, _half(records, 0))
    return None


def _half(records: Records, which: int) -> Records:
    """Every other text: the first half is measured on, the second protects."""
    return records.take(range(which, len(records), 2))


def _read(
    named: ExtraDataset, has_lm_head: bool, faults: Faults, read: ReadPath = read_path
) -> Records | None:
    """Texts with labels where the file has any. None when there were faults."""
    settings = DataConfig(train=named.data, columns=named.columns)
    table = read_file(named.data, settings, faults, read)
    if table is None:
        return None
    header = {column.casefold().strip() for column in table.columns}
    labelled = "label" in named.columns or (
        bool(header & set(_LABEL.candidates))
        and ("text" in named.columns or bool(header & set(_TEXT.candidates)))
    )
    if has_lm_head and not labelled:
        convert = TEXT_TASK.convert
        return collect_file(named.data, settings, TEXT_TASK.roles, faults, convert, read)
    roles = (_TEXT, _LABEL) if labelled else (_TEXT,)
    return collect_file(named.data, settings, roles, faults, read=read)


def _as_set(name: str, records: Records, notes: list[Message], faults: Faults) -> TextSet | None:
    if "label" not in records:
        if len(records) < _FEWEST:
            faults.add(
                "retention.too_few_texts",
                "{number} texts are too few to measure forgetting",
                records.place(0),
                "give {least} or more",
                number=len(records),
                least=_FEWEST,
            )
            return None
        return TextSet(name, _some(records, [0] * len(records), MOST_TEXTS, name, notes))
    counts = Counter(str(cell) for cell in records["label"])
    common = sorted(label for label, number in counts.items() if number >= FOLDS)
    if not 2 <= len(common) <= _MOST_CLASSES:
        faults.add(
            "retention.bad_number_of_labels",
            "{labels:,} different labels in {rows:,} rows, of which {common:,} occur {least} "
            "times or more; forgetting is measured on 2 to {most}",
            records.place(0),
            "name another column in evaluation.retention, or leave its labels out",
            labels=len(counts),
            rows=len(records),
            common=len(common),
            least=FOLDS,
            most=_MOST_CLASSES,
        )
        return None
    if rare := len(counts) - len(common):
        notes.append(
            message(
                "retention.rare_labels",
                "{name}: labels with fewer than {folds} texts, left out: {rare:,}.",
                name=name,
                folds=FOLDS,
                rare=rare,
            )
        )
    known = [i for i, cell in enumerate(records["label"]) if str(cell) in common]
    records = records.take(known)
    cells = [str(cell) for cell in records["label"]]
    records = _some(records, cells, MOST_LABELLED, name, notes)
    classes = np.array([common.index(str(cell)) for cell in records["label"]])
    return LabelledSet(name, records, classes, tuple(common))


def _some(
    records: Records, strata: Sequence[str | int], most: int, name: str, notes: list[Message]
) -> Records:
    if len(records) <= most:
        return records
    notes.append(
        message(
            "retention.limited",
            "{name}: {most:,} of {total:,} texts are used to measure forgetting.",
            name=name,
            most=most,
            total=len(records),
        )
    )
    return records.take(draw(strata, most, 0))


# --- Apart from the task -------------------------------------------------------


def refuse_shared(
    records: Records, others: Records, where: str, compare_as: str, faults: Faults
) -> bool:
    """Whether a text of the records is among others; overlaps are recorded, with lines."""
    known = {normalise(cell, compare_as): i for i, cell in _numbered(others)}
    keys = ((i, normalise(cell, compare_as)) for i, cell in _numbered(records))
    shared = {i: known[key] for i, key in keys if key in known}
    if not shared:
        return False
    lines = ", ".join(str(records.lines[i]) for i in list(shared)[:_SHOWN])
    more = ", …" if len(shared) > _SHOWN else ""
    first = next(iter(shared))
    faults.add(
        "data.texts_shared",
        "{number:,} of {total:,} texts are also in {where} (line {lines}); the first repeats "
        "{earlier}",
        records.place(first),
        "use other texts",
        number=len(shared),
        total=len(records),
        where=where,
        lines=lines + more,
        earlier=others.place(shared[first]),
    )
    return True


def _numbered(records: Records) -> Iterable[tuple[int, str]]:
    for role in records.input_roles:
        for i, cell in enumerate(records[role]):
            yield i, _as_text(cell)


def _cells(records: Records) -> Iterable[str]:
    return (cell for _, cell in _numbered(records))


def _as_text(cell: object) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
