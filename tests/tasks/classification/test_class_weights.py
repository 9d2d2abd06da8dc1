"""Class weights, for one label a text and for several."""

from __future__ import annotations

import numpy as np
import pytest

from faults import full
from welltuned.errors import Faults
from welltuned.tasks.classification.class_weights import balanced, weights_of_classes

NAMES = ("a", "b")


def test_classes_have_the_same_say() -> None:
    weights = np.array(balanced(np.array([0, 0, 0, 1]), 2))
    assert weights * [3, 1] == pytest.approx([2, 2])


def test_a_labels_texts_have_the_say_of_all_others() -> None:
    flags_NK = np.zeros((10, 3), dtype=np.float32)
    flags_NK[:2, 0] = flags_NK[:, 2] = 1
    assert balanced(flags_NK, 3) == (4.0, 10.0, 0.1)


def test_weights_are_given_by_name_or_not_at_all() -> None:
    faults, targets = Faults(), np.array([0, 1])
    assert weights_of_classes("none", NAMES, targets, faults) is None
    assert weights_of_classes({"b": 2.0, "a": 1.0}, NAMES, targets, faults) == (1.0, 2.0)
    assert weights_of_classes({"b": 2.0, "c": 1.0}, NAMES, targets, faults) is None
    told = "task.class_weights_differ_from_labels differing=['a', 'c'] labels=a, b"
    assert full(faults) == [told]
