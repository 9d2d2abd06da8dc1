"""Faults travel between processes whole."""

from __future__ import annotations

import json

import pytest

from welltuned.errors import Fault, Place


@pytest.mark.parametrize(
    "place", [None, Place("data.csv"), Place("data.csv", 3), Place("data.csv", 3, 7)]
)
def test_a_fault_comes_back_as_it_was(place: Place | None) -> None:
    fault = Fault("data.cell_missing", "the label is empty", place, "write one")
    told = json.loads(json.dumps(fault.as_dict()))
    assert Fault.from_dict(told) == fault and str(Fault.from_dict(told)) == str(fault)
