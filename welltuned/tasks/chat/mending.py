"""What a chat template lacks, so that answers would not end or not be asked for, is added to it.

    end of turn         no token that ends generation closes an answer: the end token does now
    generation prompt   `add_generation_prompt` changes nothing: what stands before every answer is
                        written when one is asked for

The template itself is changed, so it travels with the tokenizer, and plain libraries use it too.
Where it lacks nothing it stays as it is, to the letter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from welltuned.errors import InputError
from welltuned.tasks.chat.rendering import render_chat
from welltuned.tasks.chat.template import DEFAULT_TEMPLATE, Messages, apply_template
from welltuned.tasks.chat.tokens import answer_tokens, is_end

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Mend = Literal["end of turn", "end of earlier turns", "generation prompt"]

_MENDED = "chat_template_mended"
"""Under this key the tokenizer's files remember what was added."""

_EXCHANGE: Messages = (
    {"role": "user", "content": "Qx1"},  # as no template has it
    {"role": "assistant", "content": "Ax1"},
    {"role": "user", "content": "Qx2"},
    {"role": "assistant", "content": "Ax2"},
)
_CLOSED = (
    "{{%- set closed = namespace(turns=[]) -%}}"
    "{{%- for turn in messages -%}}"
    "{{%- if turn['role'] == 'assistant' and turn['content'] is string{which} -%}}"
    "{{%- set turn = dict(turn, content=turn['content'] + eos_token) -%}}"
    "{{%- endif -%}}"
    "{{%- set closed.turns = closed.turns + [turn] -%}}"
    "{{%- endfor -%}}"
    "{{%- set messages = closed.turns -%}}"
)


def ensure_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Give the tokenizer a template when it has none, and its own one what that lacks.

    Saved with the tokenizer, the template travels. Returns whether one was given.
    """
    if tokenizer.chat_template:
        _mend(tokenizer)
        return False
    tokenizer.chat_template = DEFAULT_TEMPLATE
    return True


def mended(tokenizer: PreTrainedTokenizerBase) -> tuple[Mend, ...]:
    """What has been added to the tokenizer's template, here or in the run that it comes from."""
    return tuple(tokenizer.init_kwargs.get(_MENDED, ()))


def _mend(tokenizer: PreTrainedTokenizerBase) -> None:
    if mended(tokenizer) or not isinstance(tokenizer.chat_template, str):
        return
    try:
        mends = [*_close_turns(tokenizer), *_ask(tokenizer)]
    except InputError:  # it takes no such exchange; what real ones show is told of them
        return
    if mends:
        tokenizer.init_kwargs[_MENDED] = mends


def _close_turns(tokenizer: PreTrainedTokenizerBase) -> list[Mend]:
    if tokenizer.eos_token is None:
        return []
    first, last = _ended(tokenizer)
    if first and last:
        return []
    own = tokenizer.chat_template
    which = " and not loop.last" if last else ""
    tokenizer.chat_template = _CLOSED.format(which=which) + own
    if not all(_ended(tokenizer)):  # it writes something else than what was said
        tokenizer.chat_template = own
        return []
    return ["end of earlier turns" if last else "end of turn"]


def _ended(tokenizer: PreTrainedTokenizerBase) -> list[bool]:
    """Of each answer of an exchange, whether it is learned with a token that ends it."""
    answers = answer_tokens(tokenizer, [render_chat(tokenizer, _EXCHANGE)])[0]
    return [any(is_end(tokenizer, token) for token in tokens) for tokens in answers]


def _ask(tokenizer: PreTrainedTokenizerBase) -> list[Mend]:
    question = _EXCHANGE[:1]
    plain, asking = (apply_template(tokenizer, question, how, None) for how in (False, True))
    answered = render_chat(tokenizer, _EXCHANGE[:2]).text
    if plain != asking or not answered.startswith(plain):
        return []
    start = answered.find(_EXCHANGE[1]["content"], len(plain))
    header = answered[len(plain) : start].rstrip(" ")
    if not header.strip():
        return []  # the answer follows the question at once
    tokenizer.chat_template += "{% if add_generation_prompt %}{{ " + repr(header) + " }}{% endif %}"
    return ["generation prompt"]
