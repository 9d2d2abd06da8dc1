"""Examples as text, with the spans of it that are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from welltuned.data.layouts.message_parsing import is_learned
from welltuned.data.tokens.special_tokens import Span, stay_text, written_in
from welltuned.errors import Place
from welltuned.tasks.chat.lost_turns import lost_turns
from welltuned.tasks.chat.quoting import Quotes
from welltuned.tasks.chat.spans import spans_of, without
from welltuned.tasks.chat.template import Messages, apply_template
from welltuned.tasks.chat.tool_calls import TOOLS, fitted, reads

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
    meant: tuple[Span, ...] | None = None
    """Where special tokens are meant in a text that quotes some; None where it quotes none."""
    lost: tuple[str, ...] = ()
    """Whose turns, or parts of turns, the template leaves out; the tools, where it does those."""


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
    quotes = Quotes(tokenizer)
    without_tools = "tools" in messages[0] and not reads(tokenizer, "tools")
    messages = quotes.hide(fitted(tokenizer, messages))
    text = apply_template(tokenizer, messages, False, place)
    spans = _learned(tokenizer, messages, text, train_on, place)
    lost = (*lost_turns(tokenizer, messages, text), *([TOOLS] if without_tools else ()))
    return Rendered(quotes.shown(text), spans, meant=quotes.meant(text), lost=lost)


def _learned(
    tokenizer: PreTrainedTokenizerBase,
    messages: Messages,
    text: str,
    train_on: TrainOn,
    place: Place | None,
) -> tuple[Span, ...]:
    if train_on == "all" and all(map(is_learned, messages)):
        return ((0, len(text)),)
    answers = [i for i, turn in enumerate(messages) if turn["role"] == "assistant"]
    chosen = answers[-1:] if train_on == "last" else answers
    needed = {i for i in chosen if is_learned(messages[i])}
    spans = spans_of(tokenizer, messages, text, needed, place)
    if train_on == "all":
        return without(len(text), [spans[i] for i in spans if not is_learned(messages[i])])
    return tuple(spans[i] for i in sorted(needed))


def render_plain(
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    completion: str | None,
    train_on: TrainOn = "assistant",
) -> Rendered:
    """A prompt and its completion as they stand, and the tokenizer's end token.

    Without a completion there is nothing to end, and nothing to learn. A completion that is
    written with the end token has its end already.
    """
    if completion is None:
        return _plain(tokenizer, prompt, "", ())
    end = tokenizer.eos_token or ""
    text = (prompt + completion).removesuffix(end)
    start = 0 if train_on == "all" else len(prompt)
    return _plain(tokenizer, text, end, ((start, len(text) + len(end)),))


def _plain(
    tokenizer: PreTrainedTokenizerBase, text: str, end: str, spans: tuple[Span, ...]
) -> Rendered:
    """A text and what ends it; all other special tokens in it are quoted."""
    quotes = stay_text(tokenizer) and written_in(tokenizer, text)
    ends = ((len(text), len(text + end)),) if end else ()
    return Rendered(text + end, spans, plain=True, meant=ends if quotes else None)


def prompt_of(
    tokenizer: PreTrainedTokenizerBase, given: Messages | str
) -> tuple[Rendered, str | None]:
    """The text to generate from, and the answer to compare with where one is given.

    Of a conversation that ends with the assistant, that is all but its last turn.
    """
    if isinstance(given, str):
        return _plain(tokenizer, given, "", ()), None
    if given[-1]["role"] != "assistant":
        return _asked(tokenizer, given), None
    answer = given[-1]["content"]
    if len(given) > 1:
        return _asked(tokenizer, given[:-1]), answer
    alone = render_chat(tokenizer, given)
    return _until(alone, alone.spans[0][0]), answer


def _asked(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> Rendered:
    quotes = Quotes(tokenizer)
    text = apply_template(tokenizer, quotes.hide(fitted(tokenizer, messages)), True, None)
    return Rendered(quotes.shown(text), (), meant=quotes.meant(text))


def _until(example: Rendered, end: int) -> Rendered:
    """The beginning of an example."""
    meant = example.meant
    kept = None if meant is None else tuple(span for span in meant if span[1] <= end)
    return Rendered(example.text[:end], (), example.plain, kept)
