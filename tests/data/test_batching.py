"""Which examples go into which step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from welltuned.data.batching import BatchPlan, batches_within, evaluation_batches, padding_fraction

LENGTHS = np.random.default_rng(0).integers(3, 60, size=1000)


def flat(steps: list[list[np.ndarray]]) -> list[int]:
    return [int(i) for step in steps for part in step for i in part]


def members(steps: list[list[np.ndarray]]) -> list[list[int]]:
    """What each optimizer step holds, in order."""
    return [[int(i) for part in step for i in part] for step in steps]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=200),
    size=st.integers(1, 9),
    accumulation=st.integers(1, 4),
    by_length=st.booleans(),
    max_tokens=st.sampled_from([None, 1, 30, 200]),
    epoch=st.integers(0, 3),
)
def test_an_epoch_holds_every_example_once_in_steps_of_the_right_size(
    lengths: list[int], size: int, accumulation: int, epoch: int, **options: Any
) -> None:
    plan = BatchPlan(np.array(lengths), size, accumulation, **options)
    steps = plan.steps(epoch)
    assert sorted(flat(steps)) == list(range(len(lengths)))
    assert all(1 <= len(step) <= accumulation for step in steps)
    assert all(len(part) > 0 for step in steps for part in step)
    assert all(len(step) <= size * accumulation for step in members(steps))
    assert plan.count(epoch + 1)[epoch] == len(steps)


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize("max_tokens", [None, 300])
def test_the_order_is_a_pure_function_of_seed_and_epoch(
    by_length: bool, max_tokens: int | None
) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        plan = BatchPlan(LENGTHS, 8, seed=seed, by_length=by_length, max_tokens=max_tokens)
        return members(plan.steps(epoch))

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


@pytest.mark.parametrize("by_length", [True, False])
def test_accumulating_changes_no_step(by_length: bool) -> None:
    """Pitfall S1: 8 × 1, 4 × 2 and 1 × 8 take the same examples in the same steps."""
    orders = [
        members(BatchPlan(LENGTHS, 8 // k, accumulation=k, by_length=by_length).steps(2))
        for k in (1, 2, 8)
    ]
    assert orders[0] == orders[1] == orders[2]


def test_all_steps_but_the_last_cut_are_full() -> None:
    sizes = [len(step) for step in members(BatchPlan(LENGTHS, 16).steps(0))]
    assert sorted(sizes)[0] == 1000 % 16
    assert sorted(sizes)[1:] == [16] * 62


def test_texts_of_like_length_share_a_batch() -> None:
    def waste(by_length: bool) -> float:
        steps = BatchPlan(LENGTHS, 16, by_length=by_length).steps(0)
        return padding_fraction(LENGTHS, [step[0] for step in steps])

    assert waste(True) < 0.05 < 0.3 < waste(False)


def test_batches_of_like_length_still_come_in_random_order() -> None:
    means = [LENGTHS[step[0]].mean() for step in BatchPlan(LENGTHS, 16).steps(0)]
    order = np.corrcoef(means, np.arange(len(means)))[0, 1]
    assert abs(order) < 0.4


def test_batches_mix_afresh_in_every_epoch() -> None:
    first, second = (
        {frozenset(step) for step in members(BatchPlan(LENGTHS, 16).steps(epoch))}
        for epoch in (0, 1)
    )
    assert len(first & second) < len(first) / 4


@pytest.mark.parametrize("by_length", [True, False])
def test_no_step_holds_more_tokens_than_allowed(by_length: bool) -> None:
    plan = BatchPlan(LENGTHS, 64, by_length=by_length, max_tokens=500)
    padded = [LENGTHS[step].max() * len(step) for step in members(plan.steps(0))]
    assert max(padded) <= 500
    assert np.mean(padded) > 350


def test_a_budget_counts_all_rows_of_an_example() -> None:
    """A prompt with many responses fills a step that many single texts fill otherwise."""
    rows = np.where(np.arange(1000) % 3, 1, 6)
    plan = BatchPlan(LENGTHS, 64, max_tokens=600, rows=rows)
    steps = members(plan.steps(0))
    padded = [LENGTHS[step].max() * rows[step].sum() for step in steps if len(step) > 1]
    assert max(padded) <= 600 and np.mean(padded) > 350
    assert sorted(np.concatenate(steps)) == list(range(1000))


def test_a_text_longer_than_the_budget_has_a_step_of_its_own() -> None:
    steps = members(BatchPlan(np.array([5, 900, 5]), 8, max_tokens=100).steps(0))
    assert sorted(map(sorted, steps)) == [[0, 2], [1]]


def test_a_budget_never_makes_a_step_larger_than_the_batch() -> None:
    steps = members(BatchPlan(np.ones(50, dtype=int), 4, 2, max_tokens=1000).steps(0))
    assert max(map(len, steps)) == 8


def test_evaluation_sees_every_example_once_with_little_padding() -> None:
    batches = evaluation_batches(LENGTHS, 32)
    assert sorted(np.concatenate(batches)) == list(range(1000))
    assert max(map(len, batches)) == 32
    assert padding_fraction(LENGTHS, batches) < 0.05


def test_an_evaluation_with_a_budget_reads_fewer_of_the_long_texts_at_once() -> None:
    lengths = np.array([10, 100, 300, 90, 12, 11, 9])
    batches = [lengths[batch].tolist() for batch in evaluation_batches(lengths, 3, 200)]
    assert batches == [[300], [100, 90], [12, 11, 10], [9]]


def test_an_evaluation_pads_little_where_few_texts_differ_much() -> None:
    lengths = np.random.default_rng(0).gamma(2.0, 50.0, size=40).astype(int) + 5
    assert padding_fraction(lengths, batches_within(lengths, 64)) > 0.5
    batches = evaluation_batches(lengths, 64)
    assert sorted(np.concatenate(batches)) == list(range(40))
    assert padding_fraction(lengths, batches) < 0.2 and len(batches) < 7
    assert len(evaluation_batches(lengths // 32, 64)) == 1, "another pass would cost more"


def test_where_passes_cost_little_fewer_texts_are_padded() -> None:
    """Where there is a budget of tokens, which is so on a CPU."""
    lengths = np.array([60, 50, 40, 30, 25, 20, 15, 10])
    assert len(evaluation_batches(lengths, 64)) == 1
    batches = evaluation_batches(lengths, 64, 2048)
    assert padding_fraction(lengths, batches) < 0.2 and len(batches) == 3


def test_evaluation_begins_with_the_longest_texts() -> None:
    """What does not fit into memory shows at once, not at the end."""
    assert LENGTHS[evaluation_batches(LENGTHS, 32)[0]].min() >= np.sort(LENGTHS)[-32]


def test_the_padding_fraction_counts_positions_without_a_token() -> None:
    lengths = np.array([2, 4, 6])
    assert padding_fraction(lengths, [np.array([0, 1]), np.array([2])]) == pytest.approx(2 / 14)
    assert padding_fraction(lengths, []) == 0
