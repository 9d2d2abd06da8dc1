"""What a chat template writes around each turn, found by asking it.

A template is a program, and Ollama runs another language than transformers does. Most write each
turn in one way: something before it, what was said, and something behind it. What that is shows in
what comes of made-up words; and whether it is all there is, in conversations that are written both
ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from welltuned.errors import InputError
from welltuned.tasks import chat
from welltuned.tasks.chat.template import apply_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SYSTEM, _ASKED, _ANSWERED = "Qsys0", "Qask1", "Qans2"
_ASKED_AGAIN, _ANSWERED_AGAIN = "Qask3", "Qans4"
"""Words that no template writes."""


@dataclass(frozen=True)
class Turns:
    """What stands around turns."""

    start: str
    """Before everything, where no system text is given."""
    before_system: str
    """Before a system text, and before everything else."""
    after_system: str
    user: tuple[str, str]
    """Before and behind what a user says."""
    assistant: tuple[str, str]
    """Before and behind an answer of an earlier turn."""
    ask: str
    """What begins the answer that is asked for."""
    takes_system: bool
    """Whether a system text may be given."""

    def written(self, messages: chat.Messages) -> str:
        """A conversation, and what begins its answer."""
        turns = list(messages)
        if turns and turns[0]["role"] == "system":
            text = self.before_system + turns.pop(0)["content"] + self.after_system
        else:
            text = self.start
        around = {"user": self.user, "assistant": self.assistant}
        for turn in turns:
            before, behind = around[turn["role"]]
            text += before + turn["content"] + behind
        return text + self.ask


def turns_of(tokenizer: PreTrainedTokenizerBase) -> Turns | None:
    """What its template writes; None where that depends on more than whose turn it is."""
    if not tokenizer.chat_template:
        return None
    try:
        found = _guess(tokenizer)
        if found is None:
            return None
        same = all(
            _render(tokenizer, talk, ask=True) == found.written(talk)
            for talk in _talks(found.takes_system)
        )
    except InputError:  # a template that refuses one of the conversations
        return None
    return found if same else None


def _guess(tokenizer: PreTrainedTokenizerBase) -> Turns | None:
    """From what becomes of two questions and answers, if each stands there once and in order."""
    talk = _talk(_ASKED, _ANSWERED, _ASKED_AGAIN, _ANSWERED_AGAIN)
    parts = _around(_render(tokenizer, talk), _contents(talk))
    alone = _around(_render(tokenizer, talk[:1]), [_ASKED])
    asked = _around(_render(tokenizer, talk[:1], ask=True), [_ASKED])
    if parts is None or alone is None or asked is None:
        return None
    first, between, again, _, end = parts
    behind_user, before_user = alone[1], _before_user(first, again, end)
    if not (between.startswith(behind_user) and asked[1].startswith(behind_user)):
        return None
    before_answer = between.removeprefix(behind_user)
    behind_answer = again.removesuffix(before_user)
    system = _system(tokenizer, before_user)
    if system is None:
        return None
    before_system, after_system, takes = system
    return Turns(
        first.removesuffix(before_user), before_system, after_system, (before_user, behind_user),
        (before_answer, behind_answer), asked[1].removeprefix(behind_user), takes,
    )  # fmt: skip


def _before_user(first: str, again: str, end: str) -> str:
    """What stands before a question, from what does before the first and before the next.

    What closes an answer is what closes the last, `end`; where templates close that one otherwise,
    it is what the two have in common.
    """
    before = again.removeprefix(end)
    if again.startswith(end) and first.endswith(before):
        return before
    alike = takewhile(lambda two: two[0] == two[1], zip(first[::-1], again[::-1], strict=False))
    return "".join(one for one, _ in alike)[::-1]


def _system(tokenizer: PreTrainedTokenizerBase, before_user: str) -> tuple[str, str, bool] | None:
    """(before a system text, behind it, whether one may be given); None where it is no turn."""
    system = {"role": "system", "content": _SYSTEM}
    try:
        text = _render(tokenizer, [system, *_talk(_ASKED)])
    except InputError:
        return "", "", False
    if _SYSTEM not in text:
        return "", "", False
    parts = _around(text, [_SYSTEM, _ASKED])
    if parts is None or not parts[1].endswith(before_user):
        return None
    return parts[0], parts[1].removesuffix(before_user), True


def _talk(*said: str) -> list[dict[str, str]]:
    """Turns of user and assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": content} for i, content in enumerate(said)]


def _talks(takes_system: bool) -> list[list[dict[str, str]]]:
    """Conversations that end with a question, with a system text and without."""
    talks = [
        _talk("Hello there."),
        _talk("One?", "Yes.", "Two?"),
        _talk("A\nb", "c: d", "E", "f", "G h i"),
    ]
    system = {"role": "system", "content": "Be brief."}
    return [*talks, *([[system, *talk] for talk in talks] if takes_system else [])]


def _contents(talk: chat.Messages) -> list[str]:
    return [turn["content"] for turn in talk]


def _render(tokenizer: PreTrainedTokenizerBase, talk: chat.Messages, ask: bool = False) -> str:
    return apply_template(tokenizer, talk, ask, None)


def _around(text: str, words: Sequence[str]) -> list[str] | None:
    """What stands before, between and behind words; None unless each is there once, in order."""
    parts: list[str] = []
    for word in words:
        before, found, text = text.partition(word)
        if not found or word in text:
            return None
        parts.append(before)
    return [*parts, text]
