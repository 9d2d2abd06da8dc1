"""What is worth knowing of conversations beside their text: odd orders of turns, unread keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from welltuned.data.facts import some_lines
from welltuned.data.layouts.message_parsing import (
    READ_KEYS,
    RESULT_KEYS,
    ChatMessage,
    asks_to_be_learned,
    is_learned,
    role_of,
    turns_in,
)
from welltuned.schema.messages import Message, message


@dataclass
class TurnNotes:
    """Counts over the rows of a file."""

    empty: list[int] = field(default_factory=list)
    """The lines of those left out for an empty answer."""
    unanswered_end: int = 0
    """Conversations that go on after the assistant's last turn."""
    assistant_first: int = 0
    same_role_twice: int = 0
    unlearned: int = 0
    """Turns of the assistant that are left out of the loss."""
    weightless: list[int] = field(default_factory=list)
    """The lines of those left out since none of their answers is learned."""
    not_answers: int = 0
    """Turns of others that ask to be learned."""
    unread_keys: set[str] = field(default_factory=set)

    def observe(self, cells: Iterable[object], messages: Sequence[ChatMessage]) -> None:
        """Count what may be meant, and may not."""
        turns = [message["role"] for message in messages if message["role"] != "system"]
        self.unanswered_end += "assistant" in turns and turns[-1] != "assistant"
        self.assistant_first += bool(turns) and turns[0] == "assistant"
        self.same_role_twice += any(a == b != "tool" for a, b in pairwise(turns))
        answers = [message for message in messages if message["role"] == "assistant"]
        self.unlearned += sum(not is_learned(answer) for answer in answers)
        for turn in (turn for cell in cells for turn in turns_in(cell)):
            self.not_answers += asks_to_be_learned(turn) and role_of(turn) != "assistant"
            read = READ_KEYS | RESULT_KEYS if role_of(turn) == "tool" else READ_KEYS
            self.unread_keys |= {key for key in turn if turn[key] is not None} - read

    def messages(self, source: str) -> Iterator[Message]:
        """A sentence for each that was met."""
        if self.unread_keys:
            yield message(
                "data.keys_not_read",
                "{source}: keys of turns not read: {keys}.",
                source=source,
                keys=", ".join(sorted(self.unread_keys)),
            )
        if number := self.unanswered_end:
            yield message(
                "data.unanswered_end",
                "{source}: conversations that go on after the assistant's last turn (what follows "
                "is not learned): {number:,}.",
                **_counted(source, number),
            )
        if number := self.assistant_first:
            yield message(
                "data.assistant_first",
                "{source}: conversations that begin with the assistant: {number:,}.",
                **_counted(source, number),
            )
        if number := self.same_role_twice:
            yield message(
                "data.same_role_twice",
                "{source}: conversations with two turns of the same role in a row: {number:,}.",
                **_counted(source, number),
            )
        yield from self._weights(source)
        if self.empty:
            yield message(
                "data.empty_answers",
                "{source}: examples with an empty answer, left out: {number:,} (line {lines}).",
                **_counted(source, len(self.empty)),
                lines=some_lines(self.empty),
            )

    def _weights(self, source: str) -> Iterator[Message]:
        if self.unlearned:
            yield message(
                "data.turns_not_learned",
                "{source}: turns of the assistant left out of the loss by their weight or train: "
                "{number:,}.",
                **_counted(source, self.unlearned),
            )
        if self.weightless:
            yield message(
                "data.weightless_left_out",
                "{source}: examples in which no answer has a weight, left out: {number:,} "
                "(line {lines}).",
                **_counted(source, len(self.weightless)),
                lines=some_lines(self.weightless),
            )
        if self.not_answers:
            yield message(
                "data.weights_not_of_answers",
                "{source}: turns not of the assistant whose weight or train asks for them to be "
                "learned: {number:,}. Only task.train_on=all learns them.",
                **_counted(source, self.not_answers),
            )


def _counted(source: str, number: int) -> Mapping[str, object]:
    return {"source": source, "number": number}
