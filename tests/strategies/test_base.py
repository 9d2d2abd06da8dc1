"""What every strategy has: the scale of its head."""

from __future__ import annotations

import pytest

from support import strategy_of


def test_a_scale_that_is_still_open_is_no_number() -> None:
    open_still = strategy_of({"type": "full", "head_learning_rate_scale": "auto"})
    with pytest.raises(ValueError, match="still auto"):
        _ = open_still.head_scale
    assert strategy_of({"type": "full", "head_learning_rate_scale": 3}).head_scale == 3
