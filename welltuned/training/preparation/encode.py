"""Encoding: the splits as token ids, with what was cut or left out counted in the data's facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.facts import some_lines
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.data.tokens.special_tokens import note_special_tokens
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.tasks import Examples, Problem, Task
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.note_windows import note_windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.config import RunConfig
    from welltuned.training.preparation.model_plan import ModelPlan

Working = Callable[[str, int, int], None]
"""Progress callback of long work: (what, done, total)."""

_AT_ONCE = 2**22
"""Token ids that are looked at together."""
LONGEST = 512
"""Tokens per example when `max_length: auto` meets a model that takes more."""


def fit_max_length(config: RunConfig, model: ModelPlan, faults: Faults) -> int:
    """Tokens per example: as many as asked for or, with `auto`, as the model has room for."""
    limits = (model.anatomy.max_length, model.tokenizer.model_max_length)
    limit = min(limit for limit in limits if limit is not None)
    taken, wanted = config.strategy.input_positions, config.task.max_length
    room, least = limit - taken, model.tokenizer.num_special_tokens_to_add() + 1
    if taken and room < least:
        faults.add(
            "strategy.no_room_for_text",
            "the strategy's own vectors take {taken} of the {limit} tokens that the model takes, "
            "which leaves no room for text",
            None,
            "lower strategy.num_virtual_tokens to at most {most}",
            taken=taken,
            limit=limit,
            most=limit - least,
        )
        return least
    _check_windows(config.task, room, model.tokenizer, faults)
    if wanted == "auto":
        return usual_length(config.task, room)
    if wanted > room:
        faults.add(
            "task.max_length_too_large",
            "'task.max_length' is {max_length}, but the model takes {room} tokens{note}",
            None,
            "choose at most {room}",
            max_length=wanted,
            room=room,
            note=f" (the strategy's own vectors take {taken} more)" if taken else "",
        )
    return wanted


def usual_length(task: Task, room: int) -> int:
    """Tokens per example with `max_length: auto`: a window's, or as many as there is room for."""
    return min(room, task.cutting.own_length or LONGEST)


def _check_windows(
    task: Task, room: int, tokenizer: PreTrainedTokenizerBase, faults: Faults
) -> None:
    """Windows that are longer than a row may be, or leave out what stands between them."""
    limit = room if task.max_length == "auto" else min(room, task.max_length)
    length, stride = task.cutting.own_length, task.cutting.own_stride
    if length is not None and length > limit:
        faults.add(
            "task.window_too_long",
            "'task.long.length' is {length}, but {what} {limit} tokens",
            None,
            "choose at most {limit}",
            length=length,
            limit=limit,
            what="the model takes" if limit == room else "'task.max_length' is",
        )
        return
    held = (length or usual_length(task, limit)) - tokenizer.num_special_tokens_to_add()
    if stride is not None and stride > held:
        faults.add(
            "task.stride_too_large",
            "'task.long.stride' is {stride}, but a window holds {room} tokens of text: those "
            "between two windows would not be read",
            None,
            "choose at most {room}",
            stride=stride,
            room=held,
        )


def encode_splits(
    problem: Problem,
    tokenizer: PreTrainedTokenizerBase,
    data: DataSplits,
    max_length: int,
    progress: Working = lambda what, done, total: None,
    read: Sequence[str] = SPLITS,
    cache: DataCache | None = None,
) -> dict[str, Examples]:
    """The splits to be read, as the model reads them, with their lengths noted in the facts."""

    cache = cache or DataCache()

    def encoded(split: str) -> Examples:
        def heard(done: int) -> None:
            progress(f"tokenising {split}", done, len(data[split]))

        return cache.examples(problem, tokenizer, data[split], max_length, heard)

    examples = {split: encoded(split) for split in read}
    _note_left_out(examples, max_length, data)
    _note_lengths(examples, max_length, data)
    if not problem.codec.pairs_of_rows:  # those rows are no windows
        note_windows(examples, data)
    _note_unknown(tokenizer, examples, data)
    if (picture := problem.codec.picture(data.train)) is not None:
        data.facts.task["picture"] = picture
    for split in read:
        data.facts.notes += note_special_tokens(tokenizer, data[split], split)
        notes = examples[split].notes_of(split)
        data.facts.notes += [note for note in notes if note not in data.facts.notes]
        data.facts.notes += problem.codec.notes(examples[split], split)
    return {**examples, "train": problem.codec.pack(examples["train"], max_length)}


def encode_replay(
    problem: Problem,
    tokenizer: PreTrainedTokenizerBase,
    records: Records | None,
    max_length: int,
    cache: DataCache,
) -> Examples | None:
    """The replay examples as token ids.

    Conversations may be protected by plain text, and the other way round. Raises `InputError` when
    none of them is usable.
    """
    if records is None:
        return None
    examples = cache.examples(problem.reading(records), tokenizer, records, max_length)
    if not len(examples):
        raise InputError(
            Fault(
                "protection.replay_nothing_to_learn",
                "no replay example has anything to learn within {tokens} tokens",
                Place(records.source),
                "give other replay examples",
                tokens=max_length,
            )
        )
    return examples


def _note_left_out(examples: dict[str, Examples], max_length: int, data: DataSplits) -> None:
    """Examples that the task could not use, counted. Raises `InputError` when none is left."""
    for split, part in examples.items():
        if not len(part):
            raise InputError(
                Fault(
                    "task.nothing_to_learn",
                    "no example of {split} has anything to learn within {tokens} tokens",
                    Place(data[split].source),
                    "raise task.max_length, or check the data with `welltuned data`",
                    split=split,
                    tokens=max_length,
                )
            )
        lines, kept = data[split].lines, part.records.lines
        if np.array_equal(lines, kept):  # a set of a million lines takes time
            continue
        known = set(kept)
        if missing := [line for line in lines if line not in known]:
            data.facts.note(
                "task.unlearnable_left_out",
                "{split}: examples that have nothing to learn within {max_length} tokens, left "
                "out: {number:,} (line {lines}). task.max_length sets the limit.",
                split=split,
                max_length=max_length,
                number=len(missing),
                lines=some_lines(missing),
            )


def _note_lengths(examples: dict[str, Examples], max_length: int, data: DataSplits) -> None:
    facts = data.facts
    facts.task["max_length"] = max_length
    if counted := {split: dict(part.counted) for split, part in examples.items() if part.counted}:
        facts.task["encoding"] = counted
    facts.task["truncated"] = {split: int(_cut(part).sum()) for split, part in examples.items()}
    lengths = {split: _lengths(part) for split, part in examples.items()}
    facts.task["tokens"] = {
        split: {
            "mean": float(tokens.mean()),
            "median": int(np.sort(tokens)[len(tokens) // 2]),
            "greatest": int(tokens.max()),
        }
        for split, tokens in lengths.items()
    }
    for split, number in facts.task["truncated"].items():
        if number:
            facts.note(
                "task.cut",
                "{split}: texts longer than {max_length} tokens, cut: {number:,} ({share:.1%}; "
                "line {lines}). task.max_length sets the limit.",
                split=split,
                max_length=max_length,
                number=number,
                share=number / len(lengths[split]),
                lines=some_lines(_lines_cut(examples[split])),
            )


def _cut(examples: Examples) -> np.ndarray:
    """What lost tokens: texts that are read in windows, and else rows."""
    return examples.encoded.truncated if examples.windows is None else examples.cut


def _lengths(examples: Examples) -> np.ndarray:
    """The tokens of each row; of all windows of a text together, where it is read in windows."""
    return examples.encoded.lengths if examples.windows is None else examples.lengths


def _lines_cut(examples: Examples) -> list[int]:
    """The lines whose texts are cut, each once."""
    return list(dict.fromkeys(examples.records.lines[i] for i in np.flatnonzero(examples.cut)))


def _note_unknown(
    tokenizer: PreTrainedTokenizerBase, examples: dict[str, Examples], data: DataSplits
) -> None:
    """Count what the tokenizer has no token for: the model cannot tell one such thing from another.

    That is how a text in another language or script looks to a model that never met it.
    """
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return
    for split, part in examples.items():
        where = _places_of(unknown, part.encoded.ids)
        if len(where):
            ends = part.encoded.offsets[1:]
            texts = np.unique(np.searchsorted(ends, where, side="right"))
            data.facts.note(
                "task.unknown_tokens",
                "{split}: {share:.1%} of the tokens, in {texts:,} of {total:,} texts, stand for "
                "something that the tokenizer does not know ({token}).",
                split=split,
                share=len(where) / len(part.encoded.ids),
                texts=len(texts),
                total=len(part),
                token=str(tokenizer.unk_token),
            )


def _places_of(token: int, ids: np.ndarray) -> np.ndarray:
    """Where a token stands among ids, which need not be in memory all at once."""
    starts = range(0, len(ids), _AT_ONCE)
    found = [np.flatnonzero(ids[start : start + _AT_ONCE] == token) + start for start in starts]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
