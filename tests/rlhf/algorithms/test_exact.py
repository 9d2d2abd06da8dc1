"""The exact gradient on a table, where the answer is known."""

from __future__ import annotations

from tabular import BETA, distance, learn
from welltuned.rlhf.algorithms.exact import Exact


def exact(size: int) -> Exact:
    return Exact(
        learning_rate=0.1, kl_coef=BETA, batch_size=size, num_iterations=1, max_grad_norm=0
    )


def test_it_reaches_the_known_optimum_with_a_few_states() -> None:
    learner, stats = learn(150, 12, algorithm=exact(12))
    assert distance(learner) < 1e-3
    assert stats[-1].own == {}  # nothing is clipped and nothing foreseen


def test_there_is_no_value_head_among_what_trains() -> None:
    learner, _ = learn(1, 12, algorithm=exact(12))
    assert learner.groups == learner.policy_groups
