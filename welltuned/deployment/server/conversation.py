"""What a generator is asked and says: in the model's thread, with whatever a request wishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from welltuned.artifact.answers import Row
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.pieces import Pieces
from welltuned.deployment.server.refusal import Refusal
from welltuned.errors import Fault
from welltuned.tasks import Responder

Given = str | Sequence[Mapping[str, str]]
"""A text, or a conversation."""


@dataclass(frozen=True)
class Wish:
    """How an answer is to be decoded, where that is otherwise than the model does by itself."""

    decoding: Mapping[str, float] = field(default_factory=dict)
    """Parameters of `task.decoding` by name; no more new tokens than the model's own."""
    stops: tuple[str, ...] = ()
    """Strings before which an answer ends."""

    @property
    def is_plain(self) -> bool:
        """Whether the model decodes as it does for everybody, so that batches may hold it."""
        return not self.decoding and not self.stops


@dataclass(frozen=True)
class Spoken:
    """An answer, and what is told of it."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    ended: bool
    """Whether it came to an end by itself, or at a stop string; else it was cut off."""
    cut: bool
    """Whether the beginning of what was asked is too long to have been read."""


class _Enough(Exception):
    """A stop string has come."""


def converse(
    predictor: Predictor, given: Given, wish: Wish, hear: Callable[[str], object]
) -> Spoken:
    """Answer, streaming what is said; what `hear` raises ends it."""
    by = _responder(predictor, wish)
    pieces, said = Pieces(wish.stops), list[str]()

    def tell(text: str) -> None:
        if text:
            said.append(text)
        hear(text)  # also where there is nothing to tell: whoever has gone can say so

    def heard(piece: str) -> None:
        tell(pieces.add(piece))
        if pieces.stopped:
            raise _Enough

    with suppress(_Enough):
        predictor.say(given, heard, by)
    tell(pieces.end())
    return _spoken(predictor, by, given, "".join(said), pieces.stopped)


def spoken_rows(given: Sequence[Given], predictor: Predictor, rows: Sequence[Row]) -> list[Spoken]:
    """Rows of `predict` as answers. Raises `Refusal` where one could not be answered."""
    for row in rows:
        if row["prediction"] is None:
            raise Refusal(422, Fault.verbatim(row["code"], row["reason"], None, "", {}))
    by = _responder(predictor, Wish())
    pairs = zip(given, rows, strict=True)
    return [_spoken(predictor, by, asked, row["prediction"], False) for asked, row in pairs]


def _responder(predictor: Predictor, wish: Wish) -> Responder:
    responder = predictor.problem.responder
    assert responder is not None, "what does not write is refused before"
    return responder.decoding_as(**wish.decoding) if wish.decoding else responder


def _spoken(predictor: Predictor, by: Responder, given: Given, text: str, stopped: bool) -> Spoken:
    """With its tokens counted: those of the text, without any that ended it."""
    tokenizer: Any = predictor.tokenizer
    tokens = len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    records = predictor.problem.codec.records_of([given])
    asked = int(by.prompt_lengths(tokenizer, records)[0])
    ended = stopped or tokens < by.max_new_tokens
    return Spoken(text, asked, tokens, ended, predictor.forgets(given))
