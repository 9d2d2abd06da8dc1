"""What a batch may hold follows from what batches took."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from welltuned.deployment.server.work_rate import WorkRate, lengths_of, work_of


@pytest.fixture
def words() -> PreTrainedTokenizerFast:
    """A tokenizer of words."""
    backend = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    backend.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def test_tokens_are_counted_of_all_texts_of_an_input(words: PreTrainedTokenizerFast) -> None:
    inputs: list[object] = ["one", "one two three", ["a b", "c"], [{"role": "x", "content": "y z"}]]
    assert lengths_of(inputs, words) == [1, 3, 3, 3]
    assert lengths_of(["good " * 10**6, None, "half \ud800"], words)[:2] == [512, 0]
    assert lengths_of([None, 3], words) == [0, 0]


def test_tokens_are_guessed_where_counting_takes_long() -> None:
    slow: Any = SimpleNamespace(is_fast=False)
    assert lengths_of(["one two three"], slow) == [work_of("one two three")]


def test_an_input_may_be_nested_deeply(words: PreTrainedTokenizerFast) -> None:
    deep: Any = "a b"
    for _ in range(10**4):
        deep = [deep]
    assert lengths_of([deep], words) == [2] and work_of(deep) == work_of("a b")


def test_longer_texts_are_more_work_up_to_what_a_model_reads() -> None:
    short, long, book = work_of("good"), work_of("good film " * 20), work_of("good " * 10**5)
    assert short < long < book == work_of("good " * 10**6)


def test_a_character_of_chinese_counts_as_much_as_a_word() -> None:
    assert abs(work_of("好" * 30) - work_of("word " * 20)) < 10


def test_pairs_rows_and_conversations_are_counted_whole() -> None:
    alone = work_of("good film " * 9)
    assert work_of(["good film " * 9, "bad"]) > alone
    assert work_of({"text": "good film " * 9, "id": 3}) >= alone
    assert work_of([{"role": "user", "content": "good film " * 9}]) > alone


def test_what_is_no_text_and_half_a_character_are_counted_too() -> None:
    others: tuple[object, ...] = (None, 3, [], {}, "\ud800")
    assert all(work_of(given) > 0 for given in others)


def test_the_budget_comes_to_what_takes_its_time() -> None:
    """Of a model that needs a hundredth of a second for a batch and answers 10,000 tokens in one
    more: in a tenth of a second that makes 900."""
    rate = WorkRate(seconds=0.1, least=10)
    for _ in range(50):
        rate.learn(rate.budget, 0.01 + rate.budget / 10_000)
    assert 800 < rate.budget <= 1000


def test_small_batches_say_nothing_against_large_ones() -> None:
    rate = WorkRate(seconds=0.1, least=10)
    rate.learn(1000, 0.1)
    for _ in range(100):
        rate.learn(5, 0.05)
    assert rate.budget == 1000


def test_a_machine_that_became_slower_is_noticed() -> None:
    rate = WorkRate(seconds=0.1, least=10)
    rate.learn(1000, 0.1)
    for _ in range(20):
        rate.learn(rate.budget, rate.budget / 1000)
    assert rate.budget < 150


def test_how_long_work_takes_is_unknown_at_first() -> None:
    rate = WorkRate(seconds=0.1)
    assert rate.seconds_for(500) == 0
    rate.learn(5, 1.0)
    assert rate.seconds_for(500) == 0, "so small a batch does not tell"
    rate.learn(1000, 2.0)
    assert rate.seconds_for(500) == 1.0
