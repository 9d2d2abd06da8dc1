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
_PAIRS = (
    ("text", "text_pair"),
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question_1", "question_2"),
    ("sent1", "sent2"),
    ("s1", "s2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "document"),
    ("question", "answer"),
    ("query", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "text"),
    ("query", "response"),
    ("query", "title"),
    ("prompt", "response"),
    ("claim", "evidence"),
    ("anchor", "positive"),
)
"""Names of two columns that belong together, in data sets of pairs."""
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
    Role("text_pair", _PAIR, required=False, is_input=True, pairs=_PAIRS),
    Role("label", _LABEL, is_target=True, plural="labels"),
    Role("id", ("id", "idx", "guid", "uid"), required=False),
    Role("group", (), required=False),
)
