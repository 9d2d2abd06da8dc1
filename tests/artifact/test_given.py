"""All that `predict` takes in Python, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import welltuned as wt
from answering import questions
from faults import full, refused
from welltuned.artifact.given import WINDOW, in_parts, require_all_read
from welltuned.artifact.predictor import Predictor
from welltuned.data.inputs import Inputs
from welltuned.errors import Fault, InputError, Place
from welltuned.runs import Run

Answering = Callable[[str], Run]


@pytest.fixture(scope="module")
def single(answering: Answering) -> Predictor:
    return wt.load(answering("single"))


@pytest.fixture(scope="module")
def pairs(answering: Answering) -> Predictor:
    return wt.load(answering("pairs"))


def said(rows: Any) -> list[Any]:
    return [row["probabilities"] for row in rows]


def ids(rows: Any) -> list[str]:
    return [row["id"] for row in rows]


# --- Taken ------------------------------------------------------------------------


def test_one_text_has_one_answer(single: Predictor) -> None:
    assert single.predict("good film") == single.predict(["good film"])
    assert list(single.stream("good film")) == single.predict(["good film"])


@pytest.mark.parametrize(
    "wrap",
    [list, tuple, iter, np.array, lambda texts: dict.fromkeys(texts).keys()],
    ids=["list", "tuple", "iterator", "array", "keys"],
)
def test_texts_come_in_any_sequence(wrap: Any, single: Predictor) -> None:
    texts = ["good film", "bad room", "a"]
    assert single.predict(wrap(texts)) == single.predict(texts)
    assert list(single.stream(wrap(texts), batch_size=2)) == single.predict(texts)


def test_a_dict_is_one_row_or_a_list_for_each_column(single: Predictor) -> None:
    wanted = said(single.predict(["good film", "bad room"]))
    assert said(single.predict({"text": "good film"})) == wanted[:1]
    columns = {"text": ["good film", "bad room"], "id": ["a", 7]}
    assert said(single.predict(columns)) == wanted
    assert ids(single.predict(columns)) == ["a", "7"]
    rows = [{"text": "good film", "id": "a"}, {"text": "bad room", "id": None}]
    assert said(single.predict(rows)) == wanted and ids(single.predict(rows)) == ["a", "rows:2"]
    assert said(single.predict({"text": np.array(["good film", "bad room"])})) == wanted


def test_rows_and_texts_may_be_mixed(single: Predictor) -> None:
    wanted = said(single.predict(["good film", "bad room", "a film"]))
    mixed = single.predict([{"text": "good film"}, "bad room", {"id": "z", "text": "a film"}])
    assert said(mixed) == wanted and ids(mixed) == ["rows:1", "texts:2", "z"]


def test_tables_of_pandas_are_taken(single: Predictor, pairs: Predictor) -> None:
    pandas = pytest.importorskip("pandas")
    wanted = said(single.predict(["good film", "bad room"]))
    frame = pandas.DataFrame({"text": ["good film", "bad room"], "other": [1, 2]}, index=[4, 9])
    assert said(single.predict(frame)) == wanted and ids(single.predict(frame)) == ["4", "9"]
    assert said(single.predict(frame["text"])) == wanted
    named = frame.rename(columns={"other": "id"})
    assert ids(single.predict(named)) == ["1", "2"]
    frame.loc[4, "text"] = None
    rows = single.predict(frame)
    assert [row["prediction"] is None for row in rows] == [True, False]
    two = pandas.DataFrame({"text": ["good"], "text_pair": ["bad"]})
    assert said(pairs.predict(two)) == said(pairs.predict([("good", "bad")]))
    assert single.predict(frame.iloc[:0]) == []


def test_words_and_conversations_are_not_taken_for_columns(answering: Answering) -> None:
    tags = wt.load(answering("tags"))
    words = ["good", "film"]
    wanted = [row["prediction"] for row in tags.predict([words])]
    forms: list[Any] = [{"words": words}, {"words": [words]}, [{"words": words}], ["good film"]]
    for given in forms:
        assert [row["prediction"] for row in tags.predict(given)] == wanted
    chat = wt.load(answering("chat"))
    turns = [{"role": "user", "content": "was it good"}]
    wanted = [row["prediction"] for row in chat.predict(["was it good"])]
    for given in (turns, [turns], {"messages": turns}, {"messages": [turns]}):
        assert [row["prediction"] for row in chat.predict(given)] == wanted


def test_a_pair_by_itself_is_one_input_for_a_model_of_pairs(
    single: Predictor, pairs: Predictor
) -> None:
    assert len(pairs.predict(("good", "bad"))) == 1
    assert len(single.predict(("good", "bad"))) == 2


def test_the_columns_of_a_reward_model(answering: Answering) -> None:
    predictor = wt.load(answering("reward"))
    ((prompt, response),) = questions("reward")[:1]
    wanted = predictor.predict([(prompt, response)])[0]["prediction"]
    row = predictor.predict({"prompt": prompt, "response": response})[0]
    assert row["prediction"] == pytest.approx(wanted, abs=1e-5)


# --- Refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [None, 3, 2.5, b"good", bytearray(b"x"), {"good"}, Path("texts.csv"), object()]
)
def test_what_holds_no_inputs_is_refused(given: Any, single: Predictor) -> None:
    for ask in (single.predict, lambda given: list(single.stream(given))):
        with refused("predict.given_wrong_type") as caught:
            ask(given)
        shown = caught.value.faults[0].values["given"]
        assert type(given).__name__ in shown or shown == "None"


@pytest.mark.parametrize("wrong", [None, 3, float("nan"), b"x", [], ["a"], [["a"]], ("a", 2)])
def test_what_is_no_input_is_refused_with_its_place(wrong: Any, single: Predictor) -> None:
    with refused("predict.input_of_wrong_type", place="texts:2"):
        single.predict(["good", wrong, "bad"])


def test_all_that_is_wrong_is_told_at_once(single: Predictor) -> None:
    with pytest.raises(InputError) as caught:
        single.predict([None, "good", 3])
    assert [str(fault.place) for fault in caught.value.faults] == ["texts:1", "texts:3"]


def test_columns_of_unequal_length_are_refused(single: Predictor) -> None:
    with refused("predict.columns_differ_in_length"):
        single.predict({"text": ["a", "b"], "id": [1]})


def test_rows_without_a_text_column_are_refused(single: Predictor) -> None:
    """And the remedy works when it is followed."""
    with refused("predict.column_missing", place="rows:1", role="text") as caught:
        single.predict([{"x": "a", "y": "b"}])
    assert "'text'" in caught.value.faults[0].remedy
    assert single.predict([{"text": "a", "y": "b"}])[0]["prediction"]


def test_a_model_of_pairs_does_not_take_one_text(pairs: Predictor) -> None:
    with pytest.raises(InputError) as caught:
        pairs.predict(["good film", ("good", "bad"), "bad"])
    assert full(caught.value.faults) == [
        "texts:1 predict.input_missing wanted=text and text_pair missing=text_pair",
        "texts:3 predict.input_missing wanted=text and text_pair missing=text_pair",
    ]


def test_a_model_of_one_text_does_not_take_pairs(single: Predictor) -> None:
    for given in ([("good", "bad")], [{"text": "good", "text_pair": "bad"}]):
        with refused("predict.input_unexpected", wanted="text", more="text_pair"):
            single.predict(given)


def test_half_a_character_is_refused(single: Predictor) -> None:
    with refused("predict.text_not_unicode", place="texts:2"):
        single.predict(["good", "\ud83d", "bad"])


# --- Some at a time ------------------------------------------------------------


def test_parts_grow_from_a_batch_to_a_window() -> None:
    sizes = [len(part) for part in in_parts(range(400), 3)]
    assert sizes[:5] == [3, 3, 12, 48, 48] and max(sizes) == 3 * WINDOW
    assert [one for part in in_parts(range(400), 3) for one in part] == list(range(400))


def test_nothing_is_read_ahead_of_a_batch_of_one() -> None:
    assert [len(part) for part in in_parts(range(9), 1)] == [1] * 9


def test_all_that_cannot_be_read_is_told_at_once() -> None:
    one, two = (Fault("predict.given_wrong_type", "no", Place("texts", n), "") for n in (1, 4))
    other = Fault("predict.column_missing", "no", Place("rows", 5), "")
    require_all_read([Inputs(None), Inputs(None)])
    with refused("predict.given_wrong_type", "predict.given_wrong_type", "predict.column_missing"):
        require_all_read([Inputs(None, (one,)), Inputs(None), Inputs(None, (two, other))])
