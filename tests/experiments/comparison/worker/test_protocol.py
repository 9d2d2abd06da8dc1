"""Faults travel between processes whole."""

from __future__ import annotations

import json

import pytest

from welltuned.errors import Fault, Place
from welltuned.experiments.comparison.worker.protocol import fault_as_dict, fault_from


@pytest.mark.parametrize(
    "place", [None, Place("data.csv"), Place("data.csv", 3), Place("data.csv", 3, 7)]
)
def test_a_fault_comes_back_as_it_was(place: Place | None) -> None:
    fault = Fault("the label is empty", place, "write one")
    told = json.loads(json.dumps(fault_as_dict(fault)))
    assert fault_from(told) == fault and str(fault_from(told)) == str(fault)
