"""Work without the garbage collector."""

from __future__ import annotations

import gc

import pytest

from welltuned.schema.collector import collector_paused


def test_the_collector_runs_again_even_after_an_error() -> None:
    frozen = gc.get_freeze_count()
    with pytest.raises(ValueError), collector_paused():
        assert not gc.isenabled()
        raise ValueError
    assert gc.isenabled() and gc.get_freeze_count() == frozen


def test_who_works_without_it_still_does_afterwards() -> None:
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_is_frozen_is_left_out_afterwards() -> None:
    try:
        with pytest.raises(ImportError), collector_paused(freeze=True):
            raise ImportError
        assert gc.isenabled() and gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
