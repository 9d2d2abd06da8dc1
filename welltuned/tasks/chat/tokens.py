"""Rendered examples as tokens, with labels where they are learned.

No decision rests on a token's id, so a padding token that is also the end token hides no
real end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.tokens.encoding import IGNORED, Encoded
from welltuned.errors import Fault, InputError
from welltuned.tasks.chat.quoting import Track, tokenise_quoting
from welltuned.tasks.chat.rendering import Rendered, render_chat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHUNK = 1000
UNLIMITED = 2**31
"""Room for any text."""


def tokenise_chat(
    tokenizer: PreTrainedTokenizerBase,
    rendered: Sequence[Rendered],
    max_length: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Encoded:
    """Tokens with labels: the token itself where it is learned, `IGNORED` elsewhere.

    Labels are not shifted; the loss does that. Too long examples lose their end.
    `progress` hears how many are done.
    """
    if not tokenizer.is_fast:
        raise InputError(
            Fault(
                "task.tokenizer_without_offsets",
                "{tokenizer} does not report the offsets of its tokens in the text",
                None,
                "use a model with a tokenizer.json",
                tokenizer=type(tokenizer).__name__,
            )
        )
    ids: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in range(0, len(rendered), _CHUNK):
        part = rendered[start : start + _CHUNK]
        for example, track in zip(part, _tokenise(tokenizer, part), strict=True):
            ids.append(track.ids_T)
            labels.append(_labels(example, track))
        progress(min(start + _CHUNK, len(rendered)))
    return Encoded.of(
        [row[:max_length] for row in ids],
        [len(row) > max_length for row in ids],
        labels=[row[:max_length] for row in labels],
    )


def tokenise_prompts(
    tokenizer: PreTrainedTokenizerBase, rendered: Sequence[Rendered], room: int = UNLIMITED
) -> Encoded:
    """Texts to go on from, as tokens.

    Too long ones lose their beginning, but not what the tokenizer puts before it.
    """
    tracks = _tokenise(tokenizer, rendered)
    cut = [len(track.ids_T) > room for track in tracks]
    return Encoded.of([_last(track, room) for track in tracks], cut)


def tokenise_beginning(
    tokenizer: PreTrainedTokenizerBase, rendered: Rendered, number: int
) -> np.ndarray:
    """The first tokens of a text, after those that the tokenizer puts before it."""
    (track,) = _tokenise(tokenizer, [rendered])
    return track.ids_T[: _before(track) + number]


def _last(track: Track, room: int) -> np.ndarray:
    """As many of a text's last tokens as there is room for."""
    before = _before(track)
    if before == len(track.ids_T):
        return track.ids_T[:1]  # nothing to go on from but the token that begins a text
    said = track.ids_T[before:]
    return np.concatenate([track.ids_T[:before], said[-max(1, room - before) :]])


def _before(track: Track) -> int:
    """How many tokens the tokenizer puts before a text."""
    said = np.flatnonzero(track.added_T == 0)
    return int(said[0]) if len(said) else len(track.ids_T)


def _tokenise(tokenizer: PreTrainedTokenizerBase, rendered: Sequence[Rendered]) -> list[Track]:
    """Each uncut, without what the tokenizer puts behind it. All are plain or none is."""
    plain = bool(rendered) and rendered[0].plain
    batch = tokenizer(
        [example.text for example in rendered],
        add_special_tokens=plain,
        padding=False,  # a tokenizer file may ask for both
        truncation=False,
        return_attention_mask=False,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    names = ("input_ids", "offset_mapping", "special_tokens_mask")
    tracks = zip(*(_arrays(batch[name]) for name in names), strict=True)
    return [
        _without_end(
            Track(*track)
            if example.meant is None
            else tokenise_quoting(tokenizer, example.text, example.meant, plain)
        )
        for example, track in zip(rendered, tracks, strict=True)
    ]


def _arrays(rows: Sequence[Sequence[object]]) -> list[np.ndarray]:
    return [np.asarray(row, dtype=np.int64) for row in rows]


def _without_end(track: Track) -> Track:
    """Until the text's last token: it has brought its own end."""
    ids_T, offsets_T2, added_T = track
    text = np.flatnonzero(added_T == 0)
    last = text[-1] + 1 if len(text) else len(ids_T)
    return Track(ids_T[:last], offsets_T2.reshape(-1, 2)[:last], added_T[:last])


def _labels(example: Rendered, track: Track) -> np.ndarray:
    """The tokens in the example's spans, but those that the tokenizer itself put around it."""
    trained_T = np.zeros(len(track.ids_T), dtype=bool)
    for start, end in example.spans:
        trained_T |= _within(track.offsets_T2, start, end)
    return np.where(trained_T & (track.added_T == 0), track.ids_T, IGNORED)


def _within(offsets_T2: np.ndarray, start: int, end: int) -> np.ndarray:
    """Tokens that have a character in the span, or stand for none and lie in it."""
    first_T, stop_T = offsets_T2.T
    return (first_T < end) & ((stop_T > start) | ((first_T == stop_T) & (first_T >= start)))


def trained_tokens(encoded: Encoded) -> np.ndarray:
    """How many tokens of each example are learned (N).

    The first token of an example never is, for nothing precedes it.
    """
    if encoded.labels is None:
        return np.zeros(len(encoded), dtype=np.int64)
    learned = encoded.labels != IGNORED
    learned[encoded.offsets[:-1][encoded.lengths > 0]] = False
    sums = np.concatenate([[0], np.cumsum(learned)])
    return sums[encoded.offsets[1:]] - sums[encoded.offsets[:-1]]


def windows(encoded: Encoded, max_length: int) -> tuple[Encoded, list[int]]:
    """Long texts as consecutive rows of at most `max_length`, and which text each is of.

    A row begins with the last token of the one before, so that every token of a text
    but its first is learned exactly once.
    """
    starts: list[int] = []
    stops: list[int] = []
    texts: list[int] = []
    for text, (first, end) in enumerate(pairwise(encoded.offsets.tolist())):
        for start in range(first, max(first + 1, end - 1), max(1, max_length - 1)):
            starts.append(start)
            stops.append(min(start + max_length, end))
            texts.append(text)
    spans = list(zip(starts, stops, strict=True))
    labels = encoded.labels
    rows = Encoded.of(
        [encoded.ids[start:stop] for start, stop in spans],
        [False] * len(spans),
        labels=None if labels is None else [labels[start:stop] for start, stop in spans],
    )
    return rows, texts


# --- Where answers end ---------------------------------------------------------


def answer_tokens(
    tokenizer: PreTrainedTokenizerBase, rendered: Sequence[Rendered]
) -> list[list[list[int]]]:
    """The tokens of each answer that is learned, by example."""
    found = zip(rendered, _tokenise(tokenizer, rendered), strict=True)
    return [
        [track.ids_T[_within(track.offsets_T2, *span)].tolist() for span in example.spans]
        for example, track in found
    ]


def is_end(tokenizer: PreTrainedTokenizerBase, token: int) -> bool:
    """Whether an answer is over after a token: no text has it but where one ends."""
    return token == tokenizer.eos_token_id or token in tokenizer.get_added_vocab().values()


def stop_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens after which an answer is over.

    The tokenizer's end token, and the one with which its template, if any, closes a turn.
    """
    end = {tokenizer.eos_token_id} - {None}
    if not tokenizer.chat_template:
        return sorted(end)
    exchange = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    answers = answer_tokens(tokenizer, [render_chat(tokenizer, exchange)])[0]
    closing = {tokens[-1] for tokens in answers if tokens}
    return sorted(end | {token for token in closing if is_end(tokenizer, token)})
