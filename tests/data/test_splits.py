"""Cutting splits off the training data: seeded, stratified, leak-free."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from welltuned.data.splits import allot, cut, deal, draw

SHARES = {"validation": 0.1, "test": 0.2}
STRATA = ["a"] * 700 + ["b"] * 300
KEYS = list(range(1000))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=120),
    st.integers(0, 5),
)
def test_every_record_is_in_exactly_one_split_and_equal_keys_never_part(
    rows: list[tuple[int, str]], seed: int
) -> None:
    keys = [key for key, _ in rows]
    parts = cut(keys, [stratum for _, stratum in rows], SHARES, seed)
    assert sorted(i for part in parts.values() for i in part) == list(range(len(rows)))
    of_key: dict[int, set[str]] = {}
    for split, part in parts.items():
        for i in part:
            of_key.setdefault(keys[i], set()).add(split)
    assert all(len(splits) == 1 for splits in of_key.values())


def test_the_shares_are_kept_in_every_stratum() -> None:
    parts = cut(KEYS, STRATA, SHARES, 0)
    counts = {split: Counter(STRATA[i] for i in part) for split, part in parts.items()}
    assert counts == {
        "train": {"a": 490, "b": 210},
        "validation": {"a": 70, "b": 30},
        "test": {"a": 140, "b": 60},
    }


def test_the_cut_is_a_pure_function_of_seed_and_data() -> None:
    assert cut(KEYS, STRATA, SHARES, 3) == cut(KEYS, STRATA, SHARES, 3)
    random.seed(1)
    assert cut(KEYS, STRATA, SHARES, 3) == cut(KEYS, STRATA, SHARES, 3)


def test_another_seed_cuts_otherwise() -> None:
    assert cut(KEYS, STRATA, SHARES, 0)["test"] != cut(KEYS, STRATA, SHARES, 1)["test"]


def test_indices_ascend_and_are_spread_over_the_data() -> None:
    test = cut(KEYS, [0] * 1000, SHARES, 0)["test"]
    assert test == sorted(test)
    assert 400 < sum(test) / len(test) < 600


@pytest.mark.parametrize("seed", range(8))
def test_a_family_too_large_for_a_part_stays_in_training(seed: int) -> None:
    keys = ["large"] * 15 + list(range(85))
    parts = cut(keys, [0] * 100, {"validation": 0.1}, seed)
    assert set(range(15)) <= set(parts["train"])
    assert len(parts["validation"]) == 10


@pytest.mark.parametrize(("rows", "validation"), [(26, 3), (24, 2), (4, 0)])
def test_a_share_is_rounded_to_whole_records(rows: int, validation: int) -> None:
    assert len(cut(range(rows), [0] * rows, {"validation": 0.1}, 0)["validation"]) == validation


def test_a_drawing_gives_what_is_left_over_to_the_stratum_that_lacks_most() -> None:
    strata = ["a"] * 60 + ["b"] * 40
    assert Counter(strata[i] for i in draw(strata, 4, 0)) == {"a": 2, "b": 2}


def test_a_drawing_keeps_the_shares_of_the_strata() -> None:
    drawn = draw(STRATA, 100, 0)
    assert Counter(STRATA[i] for i in drawn) == {"a": 70, "b": 30}


@pytest.mark.parametrize("number", [1, 2, 7, 99, 999, 1000])
def test_a_drawing_has_exactly_the_number_asked_for(number: int) -> None:
    drawn = draw(["a"] * 333 + ["b"] * 333 + ["c"] * 334, number, 0)
    assert len(drawn) == len(set(drawn)) == number
    assert drawn == sorted(drawn)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from("abcde"), min_size=2, max_size=80), st.integers(0, 3))
def test_a_smaller_drawing_is_part_of_every_larger_one(strata: list[str], seed: int) -> None:
    """Of the rarest strata too, whose whole records come and go with other ways of rounding."""
    drawings = [set(draw(strata, number, seed)) for number in range(1, len(strata) + 1)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(drawings))


def test_no_stratum_vanishes_while_there_is_room_for_all() -> None:
    strata = ["a"] * 980 + ["b"] * 15 + ["c"] * 5
    assert {strata[i] for i in draw(strata, 3, 0)} == {"a", "b", "c"}
    assert Counter(strata[i] for i in draw(strata, 200, 0)) == {"a": 196, "b": 3, "c": 1}


def test_a_drawing_is_a_pure_function_of_its_arguments() -> None:
    assert draw(STRATA, 50, 1) == draw(STRATA, 50, 1) != draw(STRATA, 50, 2)


# --- Folds --------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=120),
    st.integers(2, 6),
)
def test_every_record_is_in_exactly_one_fold_and_equal_keys_never_part(
    rows: list[tuple[int, str]], number: int
) -> None:
    keys = [key for key, _ in rows]
    folds = deal(keys, [stratum for _, stratum in rows], number, 0)
    assert len(folds) == number
    assert sorted(i for fold in folds for i in fold) == list(range(len(rows)))
    assert all(fold == sorted(fold) for fold in folds)
    where = {(keys[i], n) for n, fold in enumerate(folds) for i in fold}
    assert len(where) == len(set(keys))


def test_folds_are_of_one_size_in_all_and_in_every_stratum() -> None:
    strata = ["a"] * 52 + ["b"] * 31 + ["c"] * 7
    folds = deal(range(90), strata, 5, 0)
    assert [len(fold) for fold in folds] == [18] * 5
    for stratum, least in (("a", 10), ("b", 6), ("c", 1)):
        counts = [sum(strata[i] == stratum for i in fold) for fold in folds]
        assert min(counts) == least and max(counts) == least + 1


def test_large_groups_are_dealt_out_evenly() -> None:
    keys = [0] * 10 + [1] * 10 + list(range(2, 22))
    assert [len(fold) for fold in deal(keys, [0] * 40, 4, 3)] == [10, 10, 10, 10]


def test_folds_are_a_pure_function_of_seed_and_data() -> None:
    assert deal(KEYS, STRATA, 5, 3) == deal(KEYS, STRATA, 5, 3) != deal(KEYS, STRATA, 5, 4)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=120),
    st.integers(0, 5),
)
def test_groups_of_several_strata_never_part(rows: list[tuple[int, str]], seed: int) -> None:
    keys, strata = [key for key, _ in rows], [stratum for _, stratum in rows]
    shares = {"train": 0.7, **SHARES}
    parts = allot(keys, strata, shares, seed)
    assert sorted(i for part in parts.values() for i in part) == list(range(len(rows)))
    assert all(part == sorted(part) for part in parts.values())
    where = [{keys[i] for i in part} for part in parts.values()]
    assert sum(map(len, where)) == len(set(keys))
    assert parts == allot(keys, strata, shares, seed)


def test_records_that_are_alone_are_stratified_exactly() -> None:
    parts = allot(KEYS, STRATA, {"train": 0.7, **SHARES}, 0)
    assert Counter(STRATA[i] for i in parts["test"]) == {"a": 140, "b": 60}
    assert Counter(STRATA[i] for i in parts["validation"]) == {"a": 70, "b": 30}
    assert parts != allot(KEYS, STRATA, {"train": 0.7, **SHARES}, 1)


def test_groups_of_several_strata_are_placed_where_they_are_wanted() -> None:
    """Each group is of one stratum or the other, and later ones are weighed against earlier."""
    keys = [i // 10 for i in range(1000)]
    strata = ["a" if i // 10 % 2 else "b" for i in range(1000)]
    parts = allot(keys, strata, {str(fold): 0.2 for fold in range(5)}, 3)
    assert all(Counter(strata[i] for i in part) == {"a": 100, "b": 100} for part in parts.values())
