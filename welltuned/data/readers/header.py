"""Headers: whether the first row of a table names its columns, or is data."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from welltuned.data.config import DataConfig
from welltuned.data.readings import Reading, question, read_as
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

HEADER = question(
    "header",
    asks="Does the first row name the columns, or is it data?",
    evidence="Names: data.columns has one of them; one is a usual name, such as text or label; a "
    "word stands over numbers, classes or long texts. Data: a cell comes again in its column, or "
    "is a number or a long text like those below it; data.columns counts columns. Asked for where "
    "columns contradict each other.",
    key="data.header",
)
USUAL_NAMES = {
    "text", "texts", "sentence", "sentence1", "sentence2", "text_a", "text_b", "text_pair", "title",
    "review", "review_text", "review_body", "comment", "comment_text", "content", "tweet", "body",
    "tweet_text", "utterance", "message", "code", "func", "document", "context", "story", "summary",
    "label", "labels", "class", "category", "target", "sentiment", "polarity", "intent", "topic",
    "y", "score", "rating", "stars", "premise", "hypothesis", "question", "question1", "question2",
    "answer", "query", "prompt", "completion", "response", "responses", "instruction", "input",
    "output", "chosen", "rejected", "pairs", "messages", "conversation", "conversations", "history",
    "system", "system_prompt", "word", "words", "token", "tokens", "tag", "tags", "entities", "ner",
    "ner_tags", "pos", "pos_tags", "upos", "chunk_tags", "code_language", "sent", "sent_id",
    "sentence #", "sentence_id", "sentence_idx", "id", "idx", "uid", "guid", "group", "index",
}  # fmt: skip
"""Names that columns often have; all that tasks look for are among them."""
_LOOKED_AT = 1000
_LONG = 25
"""The median length in characters from which a column holds texts."""
_MANY = 8
"""How many rows must stand below a cell for it to say something that it does not come again."""

Cells = Sequence[object]
"""The cells of one row."""


class Vote(Enum):
    """What a column says of its first cell."""

    USUAL = "a usual name"
    NAME = "a name"
    DATA = "data"
    NOTHING = "nothing"


class Header(NamedTuple):
    """The names of the columns, and how they were found where that needs to be said."""

    names: list[str]
    is_row: bool
    """Whether the first row is data."""
    readings: tuple[Reading, ...] = ()


def read_header(
    rows: Sequence[Cells], place: Place, config: DataConfig, faults: Faults
) -> Header | None:
    """The header of a table by its rows. None where it is asked for, with the fault recorded."""
    first = [_text(cell) for cell in rows[0]]
    numbered = [str(number) for number in range(len(first))]
    if config.header != "auto":
        return Header(first, False) if config.header else Header(numbered, True)
    if config.named_columns & set(first) or len(rows) < 2:
        return Header(first, False)
    below = rows[1 : 1 + _LOOKED_AT]
    if first == numbered:
        return Header(first, False, (read_as(HEADER, "names", _counted(first, place)),))
    columns = [[row[at] for row in below if at < len(row)] for at in range(len(first))]
    votes = list(map(_vote, first, columns))
    if config.named_columns and config.named_columns <= set(numbered) and _are_open(votes):
        return Header(numbered, True, (read_as(HEADER, "data", _mapped(first, place)),))
    return _count(first, votes, place, faults)


def _are_open(votes: Sequence[Vote]) -> bool:
    return not {Vote.NAME, Vote.USUAL} & set(votes)


def _count(first: list[str], votes: Sequence[Vote], place: Place, faults: Faults) -> Header | None:
    """The header that most speaks for; None where columns contradict each other."""
    if Vote.DATA not in votes:
        return Header(first, False)
    like = first[votes.index(Vote.DATA)][:40]
    if Vote.USUAL in votes:
        name = first[votes.index(Vote.USUAL)]
        return Header(first, False, (read_as(HEADER, "names", _usual(name, like, place)),))
    if Vote.NAME not in votes:
        numbered = [str(number) for number in range(len(first))]
        return Header(numbered, True, (read_as(HEADER, "data", _data(first, like, place)),))
    faults.add(
        "data.header_unclear",
        "the first row may be names or data: '{name}' looks like a name, '{like}' like the cells "
        "below it",
        place,
        "say which: data.header=true for names, data.header=false for data",
        name=first[votes.index(Vote.NAME)][:40],
        like=like,
    )
    return None


def _vote(cell: str, below: Cells) -> Vote:
    """What a column says of its first cell."""
    texts = [text for text in map(_text, below) if text]
    if not texts or not cell:
        return Vote.NOTHING
    if cell in texts:
        return Vote.DATA
    if cell.casefold() in USUAL_NAMES:
        return Vote.USUAL
    numeric = all(map(_is_number, texts))
    if _is_number(cell):
        return Vote.DATA if numeric else Vote.NOTHING
    if numeric:
        return Vote.NAME
    if statistics.median(map(len, texts)) >= _LONG:
        return Vote.DATA if len(cell) >= _LONG and " " in cell else Vote.NAME
    are_classes = len(texts) >= _MANY and len(set(texts)) <= max(2, len(texts) // 4)
    return Vote.NAME if are_classes else Vote.NOTHING


def _counted(first: Sequence[str], place: Place) -> Message:
    return message(
        "data.header_counted",
        "{source}: the first row holds names, for it counts from 0 to {last} "
        "(data.header=false takes it for data).",
        source=place.source,
        last=first[-1],
    )


def _usual(name: str, like: str, place: Place) -> Message:
    return message(
        "data.header_usual",
        "{source}: the first row holds names, for '{name}' is a usual one, although '{like}' is "
        "like the cells below it (data.header=false takes it for data).",
        source=place.source,
        name=name,
        like=like,
    )


def _mapped(first: Sequence[str], place: Place) -> Message:
    return message(
        "data.header_mapped",
        "{source}: the first row ({cells}) is data, for data.columns counts columns from 0 "
        "(data.header=true takes it for names).",
        source=place.source,
        cells=", ".join(f"'{cell[:30]}'" for cell in first[:5]),
    )


def _data(first: Sequence[str], like: str, place: Place) -> Message:
    return message(
        "data.header_is_data",
        "{source}: the first row is data, for '{like}' is like the cells below it; so columns are "
        "numbered from 0: {cells} (data.header=true takes it for names).",
        source=place.source,
        like=like,
        cells=", ".join(f"{number} ('{cell[:30]}')" for number, cell in enumerate(first[:5])),
    )


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
