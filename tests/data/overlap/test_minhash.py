"""Signatures of texts, and which pairs they bring together."""

from __future__ import annotations

import random

import numpy as np
import pytest

from welltuned.data.overlap.minhash import buckets, pairs_within, pieces, resemblance, signatures


def test_pieces_are_runs_of_four_characters_each_once() -> None:
    assert len(pieces("abcdefg")) == 4 and len(pieces("aaaaaaaa")) == 1
    assert len(pieces("ab")) == len(pieces("")) == 1
    assert set(pieces("abcdX")) & set(pieces("abcdY")) == set(pieces("abcd"))
    assert len(pieces("\ud800 abcd")) == 3


def test_resemblance_is_the_share_of_what_both_have() -> None:
    one, other = np.array([1, 2, 3]), np.array([2, 3, 4])
    assert resemblance(one, other) == pytest.approx(0.5)
    assert resemblance(one[:0], one[:0]) == 0


def test_a_signature_is_of_its_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the first text", "x", "", "a second one, 中文也行", "the first text"]
    together = signatures(texts)
    assert (together[:, 0] == together[:, 4]).all()
    monkeypatch.setattr("welltuned.data.overlap.minhash._AT_ONCE", 1)
    assert (signatures(texts) == together).all()
    assert all((signatures([text])[:, 0] == together[:, i]).all() for i, text in enumerate(texts))


def test_signatures_agree_as_often_as_texts_have_pieces_in_common() -> None:
    rng = random.Random(0)
    words = [f"{rng.randrange(10**6):x}" for _ in range(500)]
    errors = []
    for changed in range(1, 40):
        one = rng.choices(words, k=40)
        other = [*rng.choices(words, k=changed), *one[changed:]]
        texts = " ".join(one), " ".join(other)
        found = signatures(texts)
        errors.append((found[:, 0] == found[:, 1]).mean() - resemblance(*map(pieces, texts)))
    assert abs(float(np.mean(errors))) < 0.03 and float(np.std(errors)) < 0.08


def test_texts_with_a_band_in_common_meet() -> None:
    found = np.arange(300, dtype=np.uint32).reshape(100, 3)
    assert list(buckets(found)) == []
    found[5:10, 2] = found[5:10, 0]
    assert list(buckets(found)) == [[0, 2]]
    found[6:11, 2] = found[6:11, 1]  # five in a row, but of two bands
    assert list(buckets(found)) == []


def test_in_a_large_bucket_texts_are_compared_with_those_next_to_them() -> None:
    assert list(pairs_within([2, 5, 7])) == [(2, 5), (2, 7), (5, 7)]
    pairs = list(pairs_within(range(1000)))
    assert len(pairs) < 1000 * 101 and (0, 100) in pairs and (0, 101) not in pairs
