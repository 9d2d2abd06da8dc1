"""The columns of a text classification, and the names that files give them."""

from welltuned.data.records import Role

_TEXT = (
    "text",
    "sentence",
    "sentence1",
    "text_a",
    "premise",
    "question1",
    "content",
    "review",
    "comment",
    "body",
    "document",
    "tweet",
    "message",
    "code",
    "func",
    "question",
    "query",
    "title",
    "prompt",
    "input",
)
_PAIR = ("text_b", "text_pair", "sentence2", "hypothesis", "question2")
_LABEL = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "sentiment",
    "polarity",
    "topic",
    "intent",
    "stars",
    "rating",
    "score",
    "y",
)

ROLES: tuple[Role, ...] = (
    Role("text", _TEXT, is_input=True),
    Role("text_pair", _PAIR, required=False, is_input=True),
    Role("label", _LABEL, is_target=True),
    Role("id", ("id", "idx", "guid", "uid"), required=False),
    Role("group", (), required=False),
)
