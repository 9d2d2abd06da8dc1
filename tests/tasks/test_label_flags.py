"""Labels as flags: of one label each, and of several."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.tasks.label_flags import ClassFlags, LabelFlags, SetFlags


def test_flags_of_one_label_and_of_several() -> None:
    assert ClassFlags(3).of(np.array([2, 0])).tolist() == [
        [False, False, True],
        [True, False, False],
    ]
    several = np.array([[1, 1, 0], [0, 0, 0]], dtype=np.float32)
    assert SetFlags(3).of(several).tolist() == [[True, True, False], [False, False, False]]


@pytest.mark.parametrize("kind", [ClassFlags, SetFlags])
def test_each_label_has_a_target_of_its_own(kind: type[LabelFlags]) -> None:
    assert (kind(4).of(kind(4).each()) == np.eye(4, dtype=bool)).all()
