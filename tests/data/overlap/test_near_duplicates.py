"""Near-duplicates that bear different labels."""

from __future__ import annotations

import random

from welltuned.data.overlap.near_duplicates import (
    ALIKE,
    Joined,
    join_near_duplicates,
    near_duplicates,
)

LONG = "a film of rare warmth and wit, with a cast that could hardly be better than it is here"


def pairs(*rows: tuple[str, str]) -> list[tuple[int, int]]:
    texts, labels = zip(*rows, strict=True)
    return [(pair.one, pair.other) for pair in near_duplicates(texts, labels)]


def test_equal_texts_with_different_labels_are_a_pair_once() -> None:
    rows = [("same", "good"), ("other", "bad"), ("same", "good"), ("same", "bad"), ("same", "bad")]
    assert pairs(*rows) == [(0, 3)]
    assert near_duplicates(*zip(*rows, strict=True))[0].similarity == 1.0


def test_nearly_equal_texts_are_a_pair_where_their_labels_differ() -> None:
    assert pairs((LONG, "good"), (LONG.replace("here", "there"), "bad")) == [(0, 1)]
    assert pairs((LONG, "good"), (LONG.replace("here", "there"), "good")) == []


def test_texts_that_differ_in_what_counts_are_none() -> None:
    assert pairs(("it was good", "good"), ("it was not good", "bad")) == []
    assert pairs((LONG, "good"), ("nothing of the kind was to be seen anywhere", "bad")) == []


def test_the_most_alike_come_first() -> None:
    near, nearer = LONG.replace("cast", "crew"), LONG.replace("here", "there")
    found = near_duplicates([LONG, near, nearer], ["good", "bad", "bad"])
    assert [(pair.one, pair.other) for pair in found] == [(0, 2), (0, 1)]
    assert found[0].similarity > found[1].similarity >= ALIKE


def test_short_and_chinese_texts_are_compared_too() -> None:
    assert pairs(("ok", "good"), ("ok", "bad"), ("", "good"), ("", "bad")) == [(0, 1), (2, 3)]
    text = "酒店的位置非常好，房间干净，服务员也很热情，下次来北京还会住在这里，早餐的种类也很多"
    assert pairs((text, "好"), (f"{text}！", "差")) == [(0, 1)]


def test_none_of_many_pairs_is_missed() -> None:
    """Of 200 texts with one word changed, those that are alike enough, by counting all pairs."""
    rng = random.Random(0)
    words = [f"{rng.randrange(10**6):x}" for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=rng.randint(12, 30))) for _ in range(200)]
    changed = [text.replace(text.split()[3], "other", 1) for text in texts]
    pieces = [{text[i : i + 4] for i in range(len(text) - 3)} for text in [*texts, *changed]]
    alike = {
        (i, 200 + i)
        for i in range(200)
        if len(pieces[i] & pieces[200 + i]) >= ALIKE * len(pieces[i] | pieces[200 + i])
    }
    found = pairs(*((text, "a") for text in texts), *((text, "b") for text in changed))
    assert set(found) == alike and len(alike) > 100


def groups(*texts: str) -> list[int]:
    joined = Joined(len(texts))
    join_near_duplicates(joined, texts)
    return [joined.first(i) for i in range(len(texts))]


def test_near_duplicates_of_near_duplicates_are_in_one_group() -> None:
    words = LONG.split()
    chain = [" ".join([*words[:i], "other", *words[i + 1 :]]) for i in (3, 9)]
    far = " ".join(["other", "words", *words[2:-3], "were", "said"])
    assert groups(far, *chain, "nothing of the kind", LONG, LONG) == [0, 1, 1, 3, 1, 1]


def test_texts_that_are_joined_otherwise_stay_joined() -> None:
    joined = Joined(4)
    joined.join(1, 3)
    join_near_duplicates(joined, [LONG, "one", "two", LONG.replace("here", "there")])
    assert [joined.first(i) for i in range(4)] == [0, 0, 2, 0]


def test_many_equal_forms_are_one_group_in_little_time() -> None:
    forms = [f"{LONG}, and that was number {i}" for i in range(2000)]
    assert set(groups(*forms)) == {0}
