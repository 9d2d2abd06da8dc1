"""Groups hold couples of one label and mix labels; a round draws each text, and lists no pairs."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.data.contrast_groups import draw_groups


def flags_of(labels_N: np.ndarray) -> np.ndarray:
    return labels_N[:, None] == np.arange(labels_N.max() + 1)


def shares_a_label(flags_NK: np.ndarray, groups_GS: np.ndarray) -> np.ndarray:
    """Whether each text of a group has another one that it shares a label with (G, S)."""
    flags_GSK = flags_NK[groups_GS].astype(int)
    shared_GSS = flags_GSK @ flags_GSK.transpose(0, 2, 1)
    np.einsum("gss->gs", shared_GSS)[:] = 0
    return shared_GSS.any(axis=2)


@pytest.mark.parametrize(("texts", "labels", "size"), [(64, 2, 16), (61, 5, 8), (9, 3, 4)])
def test_each_text_is_drawn_in_each_round_beside_one_that_is_alike(
    texts: int, labels: int, size: int
) -> None:
    labels_N = np.arange(texts) % labels
    groups_GS = draw_groups(flags_of(labels_N), size, 3, seed=0)
    assert groups_GS.shape[1] == size
    assert np.bincount(groups_GS.ravel(), minlength=texts).min() >= 3
    assert shares_a_label(flags_of(labels_N), groups_GS).all()
    assert all(len(set(labels_N[group])) > 1 for group in groups_GS)


def test_rounds_of_an_even_split_draw_each_text_exactly_once_and_labels_evenly() -> None:
    labels_N = np.arange(64) % 2
    groups_GS = draw_groups(flags_of(labels_N), 16, 1, seed=0)
    assert sorted(groups_GS.ravel()) == list(range(64))
    assert (labels_N[groups_GS].mean(axis=1) == 0.5).all()


def test_it_follows_from_the_seed_and_rounds_differ() -> None:
    flags_NK = flags_of(np.arange(48) % 3)
    once, again = (draw_groups(flags_NK, 8, 2, seed=4) for _ in range(2))
    assert (once == again).all()
    assert (once != draw_groups(flags_NK, 8, 2, seed=5)).any()
    first, second = np.split(once, 2)
    assert (first != second).any()


def test_a_rare_label_leaves_no_group_without_something_to_tell_apart() -> None:
    labels_N = (np.arange(1000) < 6).astype(int)
    groups_GS = draw_groups(flags_of(labels_N), 16, 1, seed=0)
    assert all(len(set(labels_N[group])) == 2 for group in groups_GS)


def test_where_there_are_few_texts_groups_are_smaller() -> None:
    groups_GS = draw_groups(flags_of(np.array([0, 0, 1, 1])), 16, 2, seed=0)
    assert groups_GS.shape == (2, 4)
    assert all(sorted(group) == [0, 1, 2, 3] for group in groups_GS)


def test_texts_with_several_labels_are_coupled_by_one_of_them_and_those_without_by_that() -> None:
    random = np.random.default_rng(0)
    flags_NK = random.random((200, 4)) < 0.4
    groups_GS = draw_groups(flags_NK, 8, 2, seed=1)
    none_N1 = ~flags_NK.any(axis=1, keepdims=True)
    assert shares_a_label(np.concatenate([flags_NK, none_N1], axis=1), groups_GS).all()


def test_a_hundred_thousand_texts_take_no_more_than_their_number() -> None:
    labels_N = np.random.default_rng(0).choice(50, size=100_000)
    groups_GS = draw_groups(flags_of(labels_N), 16, 1, seed=0)
    assert 100_000 <= groups_GS.size < 101_000
