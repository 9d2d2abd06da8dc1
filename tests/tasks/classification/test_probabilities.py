"""Logits as probabilities, and the likelihood that goes with them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from welltuned.tasks.classification.probabilities import SIGMOID, SOFTMAX, label_probabilities

LOGITS = np.random.default_rng(0).normal(scale=4, size=(30, 3))


def test_the_likelihood_of_one_class_among_several() -> None:
    true_NK = np.eye(3)[np.arange(30) % 3]
    likelihood = (true_NK * LOGITS).sum() - SOFTMAX.log_partition(LOGITS)
    assert likelihood == pytest.approx((true_NK * special.log_softmax(LOGITS, axis=1)).sum())
    assert SOFTMAX.probabilities(LOGITS) == pytest.approx(special.softmax(LOGITS, axis=1))
    assert SOFTMAX.unsure(4) == 0.25


def test_the_likelihood_of_labels_each_by_itself() -> None:
    true_NK = LOGITS > 1
    likelihood = (true_NK * LOGITS).sum() - SIGMOID.log_partition(LOGITS)
    wanted = np.where(true_NK, special.log_expit(LOGITS), special.log_expit(-LOGITS)).sum()
    assert likelihood == pytest.approx(wanted)
    assert SIGMOID.unsure(4) == 0.5


def test_logits_of_any_size_have_a_probability() -> None:
    (chances_K,) = label_probabilities(np.array([[-1e6, 1e6, 0.0]]))
    assert chances_K.tolist() == pytest.approx([0, 1, 0.5])
