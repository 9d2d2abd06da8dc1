"""What a person should know of how conversations are read, found on real ones before training.

Turns that the template leaves out are counted over all of them; whether answers are learned with
what ends them, and asked for as they were learned, is looked at on some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from welltuned.data.facts import some_lines
from welltuned.data.tokens.encoding import IGNORED
from welltuned.schema.messages import Message, message
from welltuned.tasks.chat.mending import mended
from welltuned.tasks.chat.rendering import Rendered
from welltuned.tasks.chat.tokens import (
    UNLIMITED,
    answer_tokens,
    stop_ids,
    tokenise_chat,
    tokenise_prompts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LOOKED_AT = 32


def findings(
    tokenizer: PreTrainedTokenizerBase,
    rendered: Sequence[Rendered],
    lines: Sequence[int],
    ask: Callable[[int], Rendered] | None = None,
    learned: bool = True,
) -> tuple[Message, ...]:
    """Of rendered records and their lines; the value `split` is left empty.

    `ask` gives the prompt of a record, where it is asked for its last answer. `learned`: whether
    answers are learned word for word, and not only judged.
    """
    found = [*_lost(rendered, lines), *_mends(tokenizer)]
    spoken = [i for i, example in enumerate(rendered) if example.spans]
    some = spoken[:_LOOKED_AT] if learned else []
    if some:
        looked_at = [rendered[i] for i in some], [lines[i] for i in some]
        found += _unended(tokenizer, *looked_at)
        if ask is not None:
            found += _asked_otherwise(tokenizer, *looked_at, [ask(i) for i in some])
    return tuple(found)


def _lost(rendered: Sequence[Rendered], lines: Sequence[int]) -> list[Message]:
    """Turns that the template leaves out, for each role."""
    places: dict[str, list[int]] = {}
    turns: dict[str, int] = {}
    for example, line in zip(rendered, lines, strict=True):
        for role in example.lost:
            turns[role] = turns.get(role, 0) + 1
            places.setdefault(role, []).append(line)
    return [
        message(
            "task.turns_lost",
            "{split}: turns that the chat template leaves out, so that the model never reads them: "
            "{number:,} of {role} (line {lines}). Write them into another turn, or give the "
            "tokenizer another chat_template.",
            split="",
            role=role,
            number=number,
            lines=some_lines(list(dict.fromkeys(places[role]))),
        )
        for role, number in turns.items()
    ]


def _mends(tokenizer: PreTrainedTokenizerBase) -> list[Message]:
    mends = mended(tokenizer)
    found = []
    if "end of turn" in mends or "end of earlier turns" in mends:
        found.append(
            message(
                "task.end_of_turn_added",
                "The chat template closes answers without a token that ends generation; "
                "{token} is put behind them, and the template is saved with it.",
                token=tokenizer.eos_token,
            )
        )
    if "generation prompt" in mends:
        found.append(
            message(
                "task.generation_prompt_added",
                "The chat template ignores add_generation_prompt; what stands before every answer "
                "is written when one is asked for, and the template is saved with it.",
            )
        )
    return found


def _unended(
    tokenizer: PreTrainedTokenizerBase, some: Sequence[Rendered], lines: Sequence[int]
) -> list[Message]:
    """Answers that are learned without any token that generation waits for."""
    stops = set(stop_ids(tokenizer))
    answers = answer_tokens(tokenizer, some)
    bad = [sum(stops.isdisjoint(tokens) for tokens in example) for example in answers]
    if not any(bad):
        return []
    return [
        message(
            "task.stop_not_learned",
            "{split}: answers that are learned without a token that ends generation ({stops}): "
            "{number:,} of {total:,} looked at (line {lines}). Generated answers will go on until "
            "task.decoding.max_new_tokens. Give the tokenizer a chat_template that closes each "
            "answer with its eos_token.",
            split="",
            stops=", ".join(map(str, tokenizer.convert_ids_to_tokens(sorted(stops)))) or "none",
            number=sum(bad),
            total=sum(map(len, answers)),
            lines=some_lines([line for line, number in zip(lines, bad, strict=True) if number]),
        )
    ]


def _asked_otherwise(
    tokenizer: PreTrainedTokenizerBase,
    some: Sequence[Rendered],
    lines: Sequence[int],
    prompts: Sequence[Rendered],
) -> list[Message]:
    """Examples whose prompt does not have the tokens that stand before the learned answer."""
    rows = tokenise_chat(tokenizer, [_last_answer(example) for example in some], UNLIMITED)
    asked = tokenise_prompts(tokenizer, prompts)
    assert rows.labels is not None
    bad = []
    for i, line in enumerate(lines):
        labels = rows.labels[rows.offsets[i] : rows.offsets[i + 1]]
        start = int((labels != IGNORED).argmax())
        if rows[i][:start].tolist() != asked[i].tolist():
            bad.append(line)
    if not bad:
        return []
    return [
        message(
            "task.asked_otherwise",
            "{split}: examples that are asked with other tokens than stand before the answer that "
            "is learned: {number:,} of {total:,} looked at (line {lines}). What is learned and "
            "what is asked for begin at different places.",
            split="",
            number=len(bad),
            total=len(some),
            lines=some_lines(bad),
        )
    ]


def _last_answer(example: Rendered) -> Rendered:
    return Rendered(example.text, example.spans[-1:], example.plain, example.meant)
