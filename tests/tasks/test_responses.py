"""Prompts with their responses as a model reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from faults import refused
from support import make_tokenizer
from welltuned.data.config import DataConfig
from welltuned.data.layouts.preferences import RECORD_ROLES, convert_preferences
from welltuned.data.load_splits import collect_file
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED
from welltuned.data.tokens.windows import NO_ROW
from welltuned.errors import Faults
from welltuned.tasks import responses
from welltuned.tasks.grouped import Grouped

USER = {"role": "user", "content": "was it good"}
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}[EOS]{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def records_of(*rows: tuple[Any, ...]) -> Records:
    """(prompt or messages, responses, pairs) each."""
    columns: dict[str, list[Any]] = {"prompt": [], "messages": [], "responses": [], "pairs": []}
    for prompt, said, pairs in rows:
        columns["prompt"].append(prompt if isinstance(prompt, str) else prompt and "…")
        columns["messages"].append(None if isinstance(prompt, str) else prompt)
        columns["responses"].append(said)
        columns["pairs"].append(pairs)
    return Records("a.jsonl", columns, list(range(1, len(rows) + 1)), ("prompt",))


def pair(winner: int = 0, loser: int = 1, line: int = 1) -> Any:
    from welltuned.data.layouts.preferences import PreferencePair

    return PreferencePair(winner, loser, 0.0, 1.0, line)


def encoded(tokenizer: Any, records: Records, max_length: int = 64, **options: Any) -> Grouped:
    options = {"form": "auto", "joint": "\n", **options}
    return responses.encode_responses(tokenizer, records, max_length, **options)


def texts_of(tokenizer: Any, examples: Grouped) -> list[str]:
    rows = range(len(examples.encoded))
    return [" ".join(tokenizer.convert_ids_to_tokens(examples.encoded[i])) for i in rows]


@pytest.fixture
def bert() -> Any:
    return make_tokenizer("encoder", "bert")


@pytest.fixture
def llama() -> Any:
    tokenizer = make_tokenizer("decoder", "llama")
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


ONE = records_of(("was it good", ["it was fine", "so bad"], [pair()]))


# --- Form ----------------------------------------------------------------------


def test_encoders_read_prompt_and_response_as_a_pair(bert: Any) -> None:
    examples = encoded(bert, ONE)
    first = "[CLS] was it good [SEP] it was fine [SEP]"
    assert texts_of(bert, examples) == [first, "[CLS] was it good [SEP] so bad [SEP]"]
    assert examples.encoded.type_ids is not None and examples.encoded.labels is None
    assert examples.encoded.type_ids.tolist() == [0] * 5 + [1] * 4 + [0] * 5 + [1] * 3


def test_decoders_without_a_template_read_one_after_the_other(llama: Any) -> None:
    assert texts_of(llama, encoded(llama, ONE)) == [
        "was it good it was fine [EOS]",
        "was it good so bad [EOS]",
    ]
    assert llama.chat_template is None


def test_decoders_with_a_template_read_a_conversation(llama: Any) -> None:
    llama.chat_template = (
        "{% for m in messages %}{{ m.role[0:1] }} {{ m.content }}[EOS]{% endfor %}"
    )
    wanted = [
        "[UNK] was it good [EOS] a it was fine [EOS]",
        "[UNK] was it good [EOS] a so bad [EOS]",
    ]
    assert texts_of(llama, encoded(llama, ONE)) == wanted
    assert texts_of(llama, encoded(llama, ONE, form="plain"))[1] == "was it good so bad [EOS]"


def test_conversations_give_a_tokenizer_a_template_that_has_none(llama: Any) -> None:
    talk = records_of(([USER], ["so bad", "fine"], [pair()]))
    shown = texts_of(llama, encoded(llama, talk, form="chat"))
    assert llama.chat_template is not None
    assert "was it good" in shown[0] and shown[0].split()[-1] == "[EOS]"


def test_texts_by_themselves_are_single_texts(bert: Any, llama: Any) -> None:
    alone = records_of((None, ["so bad"], []))
    alone = replace(alone, columns={**alone.columns, "messages": [None]})
    assert texts_of(bert, encoded(bert, alone)) == ["[CLS] so bad [SEP]"]
    llama.chat_template = TEMPLATE
    assert texts_of(llama, encoded(llama, alone)) == ["so bad [EOS]"]


def test_what_would_touch_is_parted_only_where_asked() -> None:
    assert responses.touching("a", "b", "\n") == ("a\n", "b")
    assert responses.touching("a ", "b", "\n") == ("a ", "b")
    assert responses.touching("a", " b", "\n") == ("a", " b")
    assert responses.touching("", "b", "\n") == ("", "b")
    assert responses.touching("a", "b", "") == ("a", "b")


def test_an_empty_response_is_its_end_alone(bert: Any, llama: Any) -> None:
    nothing = records_of(("was it", [""], []))
    assert texts_of(bert, encoded(bert, nothing)) == ["[CLS] was it [SEP] [SEP]"]
    assert texts_of(llama, encoded(llama, nothing)) == ["was it [EOS]"]
    assert texts_of(llama, encoded(llama, records_of(("", [""], [])))) == ["[EOS]"]


def test_labels_are_the_response_and_its_end(llama: Any) -> None:
    examples = encoded(llama, ONE, learned=True)
    labels, ids = examples.encoded.labels, examples.encoded.ids
    assert labels is not None
    learned = llama.convert_ids_to_tokens(labels[labels != IGNORED])
    assert learned == ["it", "was", "fine", "[EOS]", "so", "bad", "[EOS]"]
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()


def test_a_tokenizer_that_tells_no_places_is_refused(bert: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(type(bert), "is_fast", False)
    with refused("task.tokenizer_without_sequence_ids", tokenizer=type(bert).__name__):
        encoded(bert, ONE)


# --- Length ----------------------------------------------------------------------

LONG = records_of(("the a film book meal was it good", ["it was fine", "so bad"], [pair()]))


def test_r6_the_prompt_loses_its_beginning_first(bert: Any, llama: Any) -> None:
    """(R6) The response is kept as long as it fits."""
    examples = encoded(bert, LONG, 8)
    assert texts_of(bert, examples) == [
        "[CLS] it good [SEP] it was fine [SEP]",
        "[CLS] was it good [SEP] so bad [SEP]",
    ]
    assert examples.encoded.truncated.tolist() == [True, True]
    assert texts_of(llama, encoded(llama, LONG, 6))[0] == "it good it was fine [EOS]"


def test_r6_then_the_response_loses_its_end_but_what_closes_it_stays(bert: Any, llama: Any) -> None:
    """(R6) There a score is read; what is learned has no end that was not there."""
    long = records_of(("was it", ["it was fine and good", "so bad"], [pair()]))
    assert texts_of(bert, encoded(bert, long, 6))[0] == "[CLS] [SEP] it was fine [SEP]"
    assert texts_of(llama, encoded(llama, long, 4))[0] == "it was fine [EOS]"
    assert texts_of(llama, encoded(llama, long, 4, learned=True))[0] == "it was fine and"


def test_the_first_token_of_a_text_stays_where_the_tokenizer_puts_one(llama: Any) -> None:
    llama.add_special_tokens({"bos_token": "[CLS]"})
    llama.chat_template = "{{ bos_token }}" + TEMPLATE.replace("[{{ m.role }}]", "")
    assert texts_of(llama, encoded(llama, LONG, 6))[0] == "[CLS] [EOS] it was fine [EOS]"


def test_r6_pairs_that_are_the_same_once_cut_are_left_out_with_their_lines(bert: Any) -> None:
    """(R6) Truncation must not make chosen equal to rejected."""
    records = records_of(
        (
            "was it",
            ["it was fine and good", "it was fine and bad", "so"],
            [pair(0, 1, 4), pair(0, 2, 5)],
        ),
        ("is it", ["it was so good", "it was so bad"], [pair(0, 1, 6)]),
        ("was it", ["good", "bad"], [pair(1, 0, 7)]),
    )
    examples = encoded(bert, records, 6)
    assert examples.alike == (4, 6)
    assert len(examples) == 2 and examples.records.lines == [1, 3]
    assert examples.targets is not None
    assert [target.pairs for target in examples.targets] == [(pair(0, 2, 5),), (pair(1, 0, 7),)]
    assert len(examples.encoded) == 5 and len(encoded(bert, records, 64)) == 3


def test_r6_words_unknown_to_the_tokenizer_make_no_pair_either(bert: Any) -> None:
    examples = encoded(bert, records_of(("was it", ["zum", "qux"], [pair(line=3)])))
    assert examples.alike == (3,) and len(examples) == 0


def test_ratings_are_never_left_out(bert: Any) -> None:
    records = records_of(("was it", ["zum"], None), ("was it", ["qux"], None))
    columns = {role: cells for role, cells in records.columns.items() if role != "pairs"}
    records = replace(records, columns={**columns, "score": [1.0, 2.0]})
    examples = encoded(bert, records)
    assert examples.targets is not None
    assert [target.score for target in examples.targets] == [1, 2]


# --- Batches -----------------------------------------------------------------------

THREE = records_of(
    ("was it", ["good", "very bad"], [pair(1, 0)]),
    ("it", ["so", "not so", "and so it was"], [pair(2, 0, 2), pair(1, 0, 3)]),
    ("the film", ["fine", "bad"], [pair()]),
)


def test_values_of_rows_are_put_by_prompt() -> None:
    grid = torch.tensor([[0, 1, NO_ROW], [2, 3, 4]])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    assert responses.in_grid(values, grid).tolist() == [[1, 2, 0], [3, 4, 5]]


def test_progress_is_told_in_prompts(bert: Any) -> None:
    told: list[int] = []
    responses.encode_responses(bert, THREE, 64, "auto", progress=told.append)
    assert told[-1] == 3


def test_a_file_is_read_into_what_is_encoded(bert: Any, preferences: str) -> None:
    faults = Faults()
    records = collect_file(
        preferences, DataConfig(train=preferences), RECORD_ROLES, faults, convert_preferences
    )
    assert records is not None and not list(faults)
    examples = encoded(bert, records)
    assert len(examples) == 60 and examples.targets is not None
    assert sum(len(target.pairs) for target in examples.targets) == 75
