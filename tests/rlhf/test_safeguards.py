"""What is watched besides the reward."""

from __future__ import annotations

from dataclasses import replace

import pytest

from welltuned.rlhf.learner import Stats
from welltuned.rlhf.safeguards import Safeguards, label_facts, text_facts

STATS = Stats(
    reward=1.0, reward_deviation=0.5, kl=1.0, kl_error=0.1, kl_coef=0.1, entropy=1.0,
    policy_loss=0.0, approx_kl=0.0, ratio=1.0, gradient_norm=1.0, learning_rate=1e-3,
    optimizer_steps=1, stopped_early=False, tokens=1, seconds=1.0,
)  # fmt: skip


def test_facts_of_texts_are_counted_over_words() -> None:
    said = ["a b a b a b", "", "the film was good"]
    facts = text_facts(said, [6, 1, 4], [False, True, True])
    assert facts["length"] == pytest.approx(11 / 3)
    assert facts["eos_rate"] == pytest.approx(2 / 3) and facts["empty"] == pytest.approx(1 / 3)
    assert facts["distinct_1"] == pytest.approx(6 / 10)
    assert facts["distinct_2"] == pytest.approx(5 / 8)  # ab ba; the film, film was, was good
    # "a b a" and "b a b" twice each of four triples: half is said again.
    assert facts["repetition"] == pytest.approx((0.5 + 0 + 0) / 3)


def test_nothing_said_is_no_division_by_nothing() -> None:
    facts = text_facts(["", ""], [1, 1], [True, True])
    assert facts["distinct_1"] == facts["distinct_2"] == facts["repetition"] == 0


def test_shares_of_labels_add_up() -> None:
    facts = label_facts(["a", "b", "a", "a"], ["a", "b", "c"])
    assert facts == {"share.a": 0.75, "share.b": 0.25, "share.c": 0.0}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kl": 9.9}, None),
        ({"kl": 10.1}, "rlhf.kl_too_large"),
        ({"kl": -0.4}, None),
        ({"kl": -0.6}, "rlhf.kl_negative"),
        ({"kl": -0.01, "kl_error": 0.0}, "rlhf.kl_negative"),
        ({"reward": 10.9}, None),
        ({"reward": 11.1}, "rlhf.reward_far_from_start"),
        ({"reward": -9.1}, "rlhf.reward_far_from_start"),
    ],
)
def test_explosions_are_told_from_progress(changes: dict[str, float], code: str | None) -> None:
    guard = Safeguards(max_kl=10.0)
    assert guard.trouble(STATS) is None
    found = guard.trouble(replace(STATS, **changes))  # type: ignore[arg-type]
    assert (found and found.code) == code


def test_a_reward_that_did_not_vary_at_first_has_no_scale() -> None:
    guard = Safeguards(max_kl=10.0)
    guard.trouble(replace(STATS, reward_deviation=0.0))
    assert guard.trouble(replace(STATS, reward=1e6)) is None
