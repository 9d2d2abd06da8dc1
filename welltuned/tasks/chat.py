"""Chat templates: rendering conversations, and which of their tokens are trained on.

A template writes a conversation as text; what is learned are spans of that text,
carried over to tokens by their offsets. No decision rests on a token's id, so a
padding token that is also the end token hides no real end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from welltuned.data.encoding import IGNORED, Encoded
from welltuned.errors import Fault, InputError, Place

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, str]]
"""Turns, each with its `role` and `content`."""
TrainOn = Literal["assistant", "last", "all"]
"""Whose words are learned: every turn of the assistant, its last one, or everything."""
Span = tuple[int, int]

_CHUNK = 1000

DEFAULT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ message['role'] | capitalize + ':\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
)
"""For tokenizers without a template of their own: a role, a line break, what was said.

What begins an answer is a line break, since hardly any tokenizer joins one with the
word that follows; so a prompt alone has the tokens that it has before its answer.
"""


def ensure_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Give the tokenizer a template when it has none; saved with it, the template travels.

    Returns whether one was given.
    """
    if tokenizer.chat_template:
        return False
    tokenizer.chat_template = DEFAULT_TEMPLATE
    return True


# --- Text ----------------------------------------------------------------------


@dataclass(frozen=True)
class Rendered:
    """An example as text, and the character spans of it that are learned, in order."""

    text: str
    spans: tuple[Span, ...]
    plain: bool = False
    """Whether the tokenizer adds its special tokens; a template has written them already."""


def render_chat(
    tokenizer: PreTrainedTokenizerBase,
    messages: Messages,
    train_on: TrainOn = "assistant",
    place: Place | None = None,
) -> Rendered:
    """A conversation through the tokenizer's template.

    What ends an answer belongs to it. Raises `InputError` when the template fails, or
    leaves out an answer; `place` says where the conversation comes from.
    """
    text = _apply(tokenizer, messages, False, place)
    if train_on == "all":
        return Rendered(text, ((0, len(text)),))
    spans: list[Span] = []
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            floor = spans[-1][1] if spans else 0
            spans.append(_span(tokenizer, messages, index, text, floor, place))
    return Rendered(text, tuple(spans[-1:] if train_on == "last" else spans))


def render_plain(
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    completion: str | None,
    train_on: TrainOn = "assistant",
) -> Rendered:
    """A prompt and its completion as they stand, and the tokenizer's end token.

    Without a completion there is nothing to end, and nothing to learn.
    """
    if completion is None:
        return Rendered(prompt, (), plain=True)
    end = tokenizer.eos_token or ""
    text = prompt + completion
    text += "" if end and text.endswith(end) else end
    return Rendered(text, ((0 if train_on == "all" else len(prompt), len(text)),), plain=True)


def prompt_of(tokenizer: PreTrainedTokenizerBase, given: Messages | str) -> tuple[str, str | None]:
    """The text to generate from, and the answer to compare with where one is given.

    Of a conversation that ends with the assistant, that is all but its last turn.
    """
    if isinstance(given, str):
        return given, None
    if given[-1]["role"] != "assistant":
        return _apply(tokenizer, given, True, None), None
    answer = given[-1]["content"]
    if len(given) > 1:
        return _apply(tokenizer, given[:-1], True, None), answer
    alone = render_chat(tokenizer, given)
    return alone.text[: alone.spans[0][0]], answer


def _apply(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, prompting: bool, place: Place | None
) -> str:
    try:
        return str(
            tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=prompting,
            )
        )
    except Exception as error:  # a template is a program, and may fail in any way
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            Fault(
                f"the tokenizer's chat template fails: {reason}",
                place,
                "change the conversation, or set another tokenizer.chat_template",
            )
        ) from error


def _part(tokenizer: PreTrainedTokenizerBase, messages: Messages, prompting: bool) -> str | None:
    """The beginning of a conversation alone; None when the template does not do that."""
    try:
        return _apply(tokenizer, messages, prompting, None) if messages else None
    except InputError:
        return None


# --- Spans ---------------------------------------------------------------------


def _span(
    tokenizer: PreTrainedTokenizerBase,
    messages: Messages,
    index: int,
    text: str,
    floor: int,
    place: Place | None,
) -> Span:
    """Where a turn of the assistant stands in the text, from `floor` on.

    Most templates write the beginning of a conversation as they write it in the whole.
    Some write earlier turns anew, without their thoughts for example; there the content
    is looked for.
    """
    content = messages[index]["content"]
    before = _part(tokenizer, messages[:index], True)
    upto = _part(tokenizer, messages[: index + 1], False)
    start, end = _length_of_start(before, text), _length_of_start(upto, text)
    if start is None or end is None:
        floors = [start] if start is not None else _floors(messages, index, text, floor, before)
        found = next(filter(None, (_find(text, content, at) for at in floors)), None)
        if found is None:
            raise _lost(place)
        start = found[0] if start is None else start
        end = _closed(text, found[1], content, before, upto) if end is None else end
    if not text[start:end].strip():
        raise _lost(place)
    return start, _without_separator(text, start, end, content)


def _lost(place: Place | None) -> InputError:
    what = "the tokenizer's chat template leaves out or changes what the assistant says"
    return InputError(Fault(what, place, "set another tokenizer.chat_template"))


def _length_of_start(part: str | None, text: str) -> int | None:
    return len(part) if part is not None and text.startswith(part) else None


def _floors(messages: Messages, index: int, text: str, floor: int, before: str | None) -> list[int]:
    """From where to look for a turn, so that what others said is not taken for it."""
    said = [at for at in range(index) if messages[at]["role"] == "assistant"]
    for message in messages[said[-1] + 1 if said else 0 : index]:
        other = _find(text, message["content"], floor)
        floor = other[1] if other else floor
    common = _shared(before or "", text)
    return [max(common, floor), floor]  # what is common may reach into the turn by a letter


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _forms(content: str) -> list[str]:
    """The content as templates write it: whole, stripped, or without its thoughts."""
    thoughtless = content.rpartition("</think>")[2]
    return [form for form in (content, content.strip(), thoughtless.strip()) if form]


def _find(text: str, content: str, floor: int) -> Span | None:
    for form in _forms(content):
        at = text.find(form, floor)
        if at >= 0:
            return at, at + len(form)
    return None


def _closed(text: str, end: int, content: str, before: str | None, upto: str | None) -> int:
    """`end` and what closes the turn there, as it does where the conversation ends with it."""
    head = _length_of_start(before, upto or "") or 0
    found = _find(upto or "", content, head)
    tail = (upto or "")[found[1] :] if found else ""
    return end + _shared(tail, text[end:])


def _without_separator(text: str, start: int, end: int, content: str) -> int:
    """The end without white space between turns, unless that is all that closes the turn."""
    turn = text[start:end]
    closings = [turn.rpartition(form)[2] for form in _forms(content) if form in turn]
    return start + len(turn.rstrip()) if closings and closings[0].strip() else end


# --- Tokens --------------------------------------------------------------------


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
        what = f"{type(tokenizer).__name__} does not tell where its tokens stand in the text"
        raise InputError(Fault(what, None, "use a model with a tokenizer.json"))
    ids: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in range(0, len(rendered), _CHUNK):
        for row_ids, row_labels in _tokenise(tokenizer, rendered[start : start + _CHUNK]):
            ids.append(row_ids)
            labels.append(row_labels)
        progress(min(start + _CHUNK, len(rendered)))
    return Encoded.of(
        [row[:max_length] for row in ids],
        [len(row) > max_length for row in ids],
        labels=[row[:max_length] for row in labels],
    )


def _tokenise(
    tokenizer: PreTrainedTokenizerBase, rendered: Sequence[Rendered]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ids and labels of each, uncut. All are plain or none is."""
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
    tracks = (_arrays(batch[name]) for name in names)
    return [_labelled(*track) for track in zip(rendered, *tracks, strict=True)]


def _arrays(rows: Sequence[Sequence[object]]) -> list[np.ndarray]:
    return [np.asarray(row, dtype=np.int64) for row in rows]


def _labelled(
    example: Rendered, ids_T: np.ndarray, offsets_T2: np.ndarray, added_T: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`added_T` marks what the tokenizer itself put around the text."""
    text = np.flatnonzero(added_T == 0)
    last = text[-1] + 1 if len(text) else len(ids_T)  # the text has brought its own end
    ids_T, offsets_T2, added_T = ids_T[:last], offsets_T2.reshape(-1, 2)[:last], added_T[:last]
    trained_T = np.zeros(last, dtype=bool)
    for start, end in example.spans:
        trained_T |= _within(offsets_T2, start, end)
    return ids_T, np.where(trained_T & (added_T == 0), ids_T, IGNORED)


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


def stop_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens after which an answer is over.

    The tokenizer's end token, and the one with which its template, if any, closes a turn.
    """
    end = {tokenizer.eos_token_id} - {None}
    if not tokenizer.chat_template:
        return sorted(end)
    exchange = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    encoded = tokenise_chat(tokenizer, [render_chat(tokenizer, exchange)], 2**31)
    assert encoded.labels is not None
    last = int(encoded.labels[encoded.labels != IGNORED][-1])
    closing = {last} & set(tokenizer.get_added_vocab().values())
    return sorted(closing | end)


# --- Packing -------------------------------------------------------------------


def pack(encoded: Encoded, max_length: int) -> tuple[Encoded, list[list[int]]]:
    """Whole examples side by side in rows of at most `max_length`; and which each row holds.

    Positions start again with each example, and the first token of each is not learned,
    so none foretells the next. That one does not *see* the next is up to the model:
    transformers tells examples apart by positions that do not go up by one, and only
    when it is given `position_ids`, no `attention_mask` and `use_cache=False`. Padding
    needs nothing more: its positions are all 0, so each stands alone. Flash attention
    looks at positions in batches of a single row alone.
    """
    packs = _first_fit(encoded.lengths, max_length)
    flat = encoded.take([index for members in packs for index in members])
    starts = flat.offsets[:-1][flat.lengths > 0]
    labels = None if flat.labels is None else flat.labels.copy()
    if labels is not None:
        labels[starts] = IGNORED
    positions = np.arange(len(flat.ids)) - np.repeat(flat.offsets[:-1], flat.lengths)
    sizes = [int(encoded.lengths[members].sum()) for members in packs]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    cut = np.array([encoded.truncated[members].any() for members in packs], dtype=bool)
    rows = Encoded(flat.ids, offsets, cut, None, labels, positions.astype(np.int32))
    return rows, packs


def _first_fit(lengths: np.ndarray, room: int) -> list[list[int]]:
    """The longest first, each into the first row that has room for it."""
    left = np.full(len(lengths), room)
    packs: list[list[int]] = []
    for index in np.argsort(-lengths, kind="stable").tolist():
        row = int(np.argmax(left[: len(packs) + 1] >= lengths[index]))
        if left[row] < lengths[index]:
            row = len(packs)  # longer than a row: one of its own
        if row == len(packs):
            packs.append([])
        packs[row].append(index)
        left[row] -= lengths[index]
    return packs
