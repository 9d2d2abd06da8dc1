"""Encoding: the splits as token ids, with what was cut or left out counted in the data's facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.facts import some_lines
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.special_tokens import note_special_tokens
from welltuned.data.table import SPLITS
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.tasks import Examples, Problem
from welltuned.training.data_cache import DataCache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.config import RunConfig
    from welltuned.training.model_plan import ModelPlan

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
    if wanted == "auto":
        return min(room, LONGEST)
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
    _note_unknown(tokenizer, examples, data)
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
        missing = len(data[split]) - len(part)
        if missing > 0:
            kept = set(part.records.lines)
            data.facts.note(
                "task.unlearnable_left_out",
                "{split}: examples that have nothing to learn within {max_length} tokens, left "
                "out: {number:,} (line {lines}). task.max_length sets the limit.",
                split=split,
                max_length=max_length,
                number=missing,
                lines=some_lines([line for line in data[split].lines if line not in kept]),
            )


def _note_lengths(examples: dict[str, Examples], max_length: int, data: DataSplits) -> None:
    facts = data.facts
    facts.task["max_length"] = max_length
    facts.task["truncated"] = {
        split: int(part.encoded.truncated.sum()) for split, part in examples.items()
    }
    lengths = {split: part.encoded.lengths for split, part in examples.items()}
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
