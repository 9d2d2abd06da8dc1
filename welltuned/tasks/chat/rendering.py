"""Examples as text, with the spans of it that are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from welltuned.errors import Place
from welltuned.tasks.chat.spans import Span, span_of
from welltuned.tasks.chat.template import Messages, apply_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TrainOn = Literal["assistant", "last", "all"]
"""Whose words are learned: every turn of the assistant, its last one, or everything."""


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
    text = apply_template(tokenizer, messages, False, place)
    if train_on == "all":
        return Rendered(text, ((0, len(text)),))
    spans: list[Span] = []
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            floor = spans[-1][1] if spans else 0
            spans.append(span_of(tokenizer, messages, index, text, floor, place))
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
        return apply_template(tokenizer, given, True, None), None
    answer = given[-1]["content"]
    if len(given) > 1:
        return apply_template(tokenizer, given[:-1], True, None), answer
    alone = render_chat(tokenizer, given)
    return alone.text[: alone.spans[0][0]], answer
