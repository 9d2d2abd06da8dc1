"""What transformers would print is not printed, and its settings are as they were afterwards."""

from __future__ import annotations

import logging as python_logging

import pytest

from welltuned.models.silence import quiet


def test_quiet_puts_back_what_was_said_before() -> None:
    from transformers.utils import logging

    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        with pytest.raises(KeyError), quiet():
            assert logging.get_verbosity() == python_logging.ERROR
            assert not logging.is_progress_bar_enabled()
            raise KeyError
        assert logging.get_verbosity() == python_logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity_warning()
