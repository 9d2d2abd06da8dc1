"""Where in a rendered conversation each turn of the assistant stands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from welltuned.data.layouts.message_parsing import is_learned
from welltuned.data.tokens.special_tokens import Span
from welltuned.errors import Fault, InputError, Place
from welltuned.tasks.chat.template import Messages, apply_template
from welltuned.tasks.chat.tool_calls import names_called

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def spans_of(
    tokenizer: PreTrainedTokenizerBase,
    messages: Messages,
    text: str,
    needed: Collection[int],
    place: Place | None,
) -> dict[int, Span]:
    """Where each turn of the assistant stands in the text, by its number; and where that of
    others does which are not learned. Raises `InputError` when one that is needed is lost.
    """
    spans: dict[int, Span] = {}
    floor = 0
    for index, turn in enumerate(messages):
        found = None
        if index in needed:
            found = span_of(tokenizer, messages, index, text, floor, place)
        elif turn["role"] == "assistant":
            found = _if_any(tokenizer, messages, index, text, floor)
        elif not is_learned(turn):
            found = _turn(tokenizer, messages, index, text, floor)
        if found is not None:
            spans[index], floor = found, found[1]
    return spans


def _if_any(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, index: int, text: str, floor: int
) -> Span | None:
    """Where an answer stands that may be left out, for nothing is learned of it."""
    try:
        return span_of(tokenizer, messages, index, text, floor, None)
    except InputError:
        return None


def _turn(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, index: int, text: str, floor: int
) -> Span | None:
    """Where a turn that is no answer stands, with its header where that can be told."""
    start = _length_of_start(_part(tokenizer, messages[:index], False) or "", text)
    end = _length_of_start(_part(tokenizer, messages[: index + 1], False), text)
    if start is not None and end is not None and start < end:
        return start, end
    return _find(text, messages[index]["content"], floor)


def without(length: int, holes: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of a text of so many characters when some are taken out, in order."""
    starts, ends = [0, *(end for _, end in holes)], [*(start for start, _ in holes), length]
    return tuple((a, b) for a, b in zip(starts, ends, strict=True) if a < b)


def span_of(
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
    called = names_called(messages[index])
    content = called[-1] if called else messages[index]["content"]
    before = _part(tokenizer, messages[:index], True)
    upto = _part(tokenizer, messages[: index + 1], False)
    start, end = _length_of_start(before, text), _length_of_start(upto, text)
    if called and (start is None or end is None):
        start, end = _call(text, start, floor, content, before or "", upto or "")
    elif start is None or end is None:
        floors = [start] if start is not None else _floors(messages, index, text, floor, before)
        if found := next(filter(None, (_find(text, content, at) for at in floors)), None):
            start = found[0] if start is None else start
            end = _closed(text, found[1], content, before, upto) if end is None else end
    if start is None or end is None or not text[start:end].strip():
        raise _lost(place)
    return start, _without_separator(text, start, end, content)


def _call(
    text: str, start: int | None, floor: int, name: str, before: str, upto: str
) -> tuple[int | None, int | None]:
    """Where a turn stands whose last call is of this name, by how it is written where the
    conversation ends with it; failing that, from where it is written otherwise than asked for."""
    own = upto[len(before) :].rstrip() if upto.startswith(before) else ""
    at = text.find(own, floor if start is None else start) if own else -1
    if at >= 0:
        return at, at + len(own)
    if start is None:
        common = _shared(before, text)
        start = max(text.rfind("\n", floor, common), text.rfind(">", floor, common)) + 1
    tail = upto[upto.rfind(name) :].rstrip() if name in upto else ""
    at = text.find(tail, start) if tail else -1
    return start, (at + len(tail) if at >= 0 else None)


def _lost(place: Place | None) -> InputError:
    fault = Fault(
        "task.chat_template_loses_answer",
        "the tokenizer's chat template leaves out or changes what the assistant says",
        place,
        "set another tokenizer.chat_template",
    )
    return InputError(fault)


def _length_of_start(part: str | None, text: str) -> int | None:
    return len(part) if part is not None and text.startswith(part) else None


def _floors(messages: Messages, index: int, text: str, floor: int, before: str | None) -> list[int]:
    """From where to look for a turn, so that what others said is not taken for it."""
    said = [at for at in range(index) if messages[at]["role"] == "assistant"]
    others = messages[said[-1] + 1 if said else 0 : index]
    after = _after(others, text, floor)
    common = _shared(before or "", text)
    # What is common may reach into the turn by a letter; a system text may stand behind the turn.
    asked = [turn for turn in others if turn["role"] != "system"]
    return [max(common, after), after, _after(asked, text, floor)]


def _after(turns: Messages, text: str, floor: int) -> int:
    """Where the last of these turns ends that are found one behind the other."""
    for turn in turns:
        found = _find(text, turn["content"], floor)
        floor = found[1] if found else floor
    return floor


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


def _part(tokenizer: PreTrainedTokenizerBase, messages: Messages, prompting: bool) -> str | None:
    """The beginning of a conversation alone; None when the template does not do that."""
    try:
        return apply_template(tokenizer, messages, prompting, None) if messages else None
    except InputError:
        return None
