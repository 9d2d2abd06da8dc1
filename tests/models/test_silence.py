"""What transformers would print is not printed, and its settings are as they were afterwards."""

from __future__ import annotations

import warnings

import pytest
from transformers.utils import logging

from welltuned.models.silence import quiet


def test_nothing_is_printed_meanwhile_and_everything_is_as_before() -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with pytest.raises(ValueError, match="through"), quiet():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
        warnings.warn("nobody hears of it", stacklevel=1)
        raise ValueError("goes through")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
