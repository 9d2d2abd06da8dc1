"""A config from a data file: what is in it is looked at, and what suits it is proposed.

The file is read as a run reads it, for one task after the other, and the first that it fits is
taken. Columns, labels and splits are told in comments; what is written down as a key is what a
run would do anyway, so that the config says the same as the line that made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from welltuned.config import RunConfig
from welltuned.data.config import DataConfig
from welltuned.data.language import main_language
from welltuned.data.load_splits import DataSplits
from welltuned.data.table import SPLITS
from welltuned.drafts.commented import Entry, commented_yaml
from welltuned.drafts.given import given_keys, nested
from welltuned.errors import Fault, Faults, InputError
from welltuned.experiments.comparison.chosen_models import LOOKED_AT, SPOKEN
from welltuned.models.available import find_available
from welltuned.models.proposals import Proposal, proposals_for
from welltuned.schema.document import Document
from welltuned.schema.messages import render_message
from welltuned.schema.part import Part
from welltuned.schema.validation import validate
from welltuned.strategies import default_strategy, frugal_strategy, usual_strategies
from welltuned.tasks import DEFAULT_TASK, RECOGNISED_TASKS, AnyTask, Problem, Task
from welltuned.training.preparation.data_cache import DataCache

_UNRECOGNISED = {
    "data.column_missing", "data.format_not_recognised", "data.preferences_not_recognised"
}  # fmt: skip
"""What is said of a file whose columns are not those of a task."""
_LABELS = 20
"""Labels that are counted in a line."""
_OTHERS = 3
"""Models that are named besides the one that is taken."""


class _Asked(Part):
    """What a person says of the data."""

    data: DataConfig
    task: AnyTask | None = None


@dataclass(frozen=True)
class DataLook:
    """A data file as a task reads it."""

    task: Task
    splits: DataSplits
    problem: Problem

    @property
    def facts(self) -> Mapping[str, object]:
        """What is known of the labels."""
        return self.splits.facts.task


@dataclass(frozen=True)
class ConfigDraft:
    """A config that was made, and what is told of how it came about."""

    text: str
    values: dict[str, Any]
    found: tuple[str, ...]
    """What is in the data, in words."""


def draft_config(file: str, overrides: Sequence[str]) -> ConfigDraft:
    """A commented config for a data file; `overrides` are keys that it shall have.

    Raises `InputError` where the data cannot be read, or no task fits them.
    """
    faults = Faults()
    given = given_keys([f"data.train={file}", *overrides], faults)
    asked = _validated(given, faults)
    look = look_at(asked.data, asked.task)
    found = tuple(_told(look))
    entries, remarks = _entries(look, given), {"data": found}
    head = [
        "welltuned train FILE        trains; `welltuned plan FILE` tells memory and time first.",
        "welltuned help KEY          explains any key, such as training.learning_rate.",
    ]
    text = commented_yaml(entries, RunConfig, head, remarks)
    values = nested({".".join(entry.path): entry.value for entry in entries})
    validate(RunConfig, Document(values, source="arguments"), faults)
    faults.raise_if_any()
    return ConfigDraft(text, values, found)


def look_at(data: DataConfig, task: Task | None = None) -> DataLook:
    """The data as the task that was asked for reads them or, without one, the first they fit.

    Raises `InputError` where there is none, with what stands against the likeliest.
    """
    cache, tried = DataCache(), RECOGNISED_TASKS if task is None else (task,)
    objections: dict[str, Faults] = {}
    for one in tried:
        faults = Faults()
        splits = cache.splits(data.of_one_run, one, faults)
        problem = None if splits is None else one.bind(splits, 0.0, faults)
        if splits is not None and problem is not None and not len(faults):
            return DataLook(one, splits, problem)
        objections[one.type] = faults
    raise InputError(_likeliest(objections, data))


def _validated(given: dict[str, object], faults: Faults) -> _Asked:
    """What is said of data and task. Raises `InputError`."""
    known = _Asked.model_fields
    ours = {key: value for key, value in given.items() if key.partition(".")[0] in known}
    asked = validate(_Asked, Document(nested(ours), source="arguments"), faults)
    faults.raise_if_any()
    assert asked is not None
    return asked


def _likeliest(objections: dict[str, Faults], data: DataConfig) -> list[Fault]:
    """What stands against the task whose columns are there.

    The default one comes first, then those that ask least: any text can be read as tagged words.
    """
    ranked = list(objections)[::-1]
    ranked.sort(key=lambda name: name != DEFAULT_TASK.type)
    for faults in (list(objections[name]) for name in ranked):
        if not any(fault.code in _UNRECOGNISED for fault in faults):
            return faults
    if len(objections) == 1:
        return list(objections[ranked[0]])
    columns = next(
        (fault.values["columns"] for faults in objections.values() for fault in faults
         if "columns" in fault.values), "",
    )  # fmt: skip
    return [
        Fault(
            "draft.task_unknown",
            "no task is recognised in the columns of {file}: {columns}",
            None,
            "say what they are, for example task={task} data.columns.text=NAME "
            "data.columns.label=NAME",
            file=data.train,
            columns=columns,
            task=DEFAULT_TASK.type,
        )
    ]


# --- What is written ------------------------------------------------------------------


def _entries(look: DataLook, given: dict[str, object]) -> list[Entry]:
    """The keys of the config: those that are given, and those that are proposed."""
    proposed = [
        *_model(look),
        Entry(("task", "type"), look.task.type, look.problem.presenter.headline(look.facts)),
        *_strategy(look),
        *_split(look),
        Entry(("training", "num_train_epochs"), "auto", "or a number of passes: 3"),
        Entry(("training", "learning_rate"), "auto", "by strategy and size of the model; or 2e-5"),
    ]
    keys = [Entry(tuple(path.split(".")), value) for path, value in given.items()]
    said = {entry.path for entry in keys}
    instead = {("training", "max_steps"): ("training", "num_train_epochs")}
    said |= {instead[path] for path in said if path in instead}
    return [*keys, *(entry for entry in proposed if entry.path not in said)]


def _model(look: DataLook) -> Iterator[Entry]:
    """The first proposed model that is here, else the first of all."""
    train = look.splits.train
    language = main_language(train.texts(LOOKED_AT))
    proposals = proposals_for(look.task.proposed_kind, language, len(train))
    here = ((one, find_available(one.name, one.packages)) for one in proposals)
    taken, there = next(((one, it) for one, it in here if it is not None), (proposals[0], None))
    others = [one.name for one in proposals if one is not taken][:_OTHERS]
    where = f"found in {there.where}" if there else f"not here yet: {taken.install}"
    alternatives = f"; or {', '.join(others)}" if others else ""
    comment = f"{_why(taken, SPOKEN[language], len(train))}; {where}{alternatives}"
    yield Entry(("model", "name"), there.name if there else taken.name, comment)


def _why(proposal: Proposal, language: str, examples: int) -> str:
    return f"proposed for {language}, {examples:,} examples: {proposal.why}"


def _strategy(look: DataLook) -> Iterator[Entry]:
    large = look.task.proposed_kind == "decoder"
    chosen = frugal_strategy() if large else default_strategy()
    others = ", ".join(name for name in usual_strategies() if name != chosen.type)
    yield Entry(("strategy", "type"), chosen.type, f"or {others}; `welltuned compare` tries them")


def _split(look: DataLook) -> Iterator[Entry]:
    """The shares of the splits that were cut off, which have no file of their own."""
    for split in ("validation", "test"):
        if split in look.splits.facts.cut:
            share = getattr(DataConfig.model_fields["split"].default, split)
            rows = len(look.splits[split])
            yield Entry(("data", "split", split), share, f"{rows:,} examples, held out")


# --- What is told ----------------------------------------------------------------------


def _told(look: DataLook) -> Iterator[str]:
    """What is in the data, a line each."""
    facts = look.splits.facts
    sizes = ", ".join(f"{split} {len(look.splits[split]):,}" for split in SPLITS)
    yield f"Examples: {sizes}."
    if columns := [f"{role} from '{name}'" for role, name in facts.columns.items() if role != name]:
        yield f"Columns: {', '.join(columns)}."
    if facts.unused_columns:
        yield f"Columns not used: {', '.join(facts.unused_columns)}."
    yield from _labels(look)
    yield from _lengths(look)
    counted = {
        name: sum(getattr(part, name) for part in facts.splits.values())
        for name in ("empty", "repeats", "conflicts")
    }
    if any(counted.values()):
        yield (
            f"Empty, and left out: {counted['empty']:,}; repeated: {counted['repeats']:,}; "
            f"the same text with different labels: {counted['conflicts']:,}."
        )
    yield from (render_message(said) for said in facts.said)


def _labels(look: DataLook) -> Iterator[str]:
    counts = look.splits.facts.task.get("counts")
    if counts:
        named = list(counts["train"].items())
        told = ", ".join(f"{name} {number:,}" for name, number in named[:_LABELS])
        more = f" and {len(named) - _LABELS:,} more" if len(named) > _LABELS else ""
        yield f"Labels in train: {told}{more}."


def _lengths(look: DataLook) -> Iterator[str]:
    train = look.splits.train
    texts = train.texts()
    lengths = np.array([len(text) for text in texts])
    language = SPOKEN[main_language(texts[:LOOKED_AT])]
    yield (
        f"Mostly {language}; characters of a text: {int(np.median(lengths)):,} in the middle, "
        f"{int(lengths.max()):,} at most."
    )
