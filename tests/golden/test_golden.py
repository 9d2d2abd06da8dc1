"""Today's package computes what was recorded; and whoever compares would notice if it did not."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cases import SHORT
from differences import describe, differences
from material import write_material
from record import fingerprint, of_cases, run_case, stored


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    write_material(folder)
    return folder


@pytest.fixture
def recorded() -> dict[str, Any]:
    """One run as it is stored, by name."""
    name = "single/full/torch"
    return {name: stored()["runs"][name]}


@pytest.mark.parametrize("name", SHORT)
def test_nothing_has_changed(name: str, material: Path) -> None:
    before = stored()
    found = differences(
        of_cases(before["runs"], [name]),
        run_case(name, material),
        exact=before["fingerprint"] == fingerprint(),
    )
    assert not found, describe(found)


def test_every_difference_is_noticed(recorded: dict[str, Any]) -> None:
    """The smallest step of a loss, other weights, a score; a run too few and one too many."""
    (name,) = recorded
    assert not differences(recorded, deepcopy(recorded))
    changed = deepcopy(recorded)
    changed[name]["losses"][3] = math.nextafter(changed[name]["losses"][3], math.inf)
    assert list(differences(recorded, changed)) == [name]
    changed = deepcopy(recorded)
    changed[name]["weights"] = "0" * 64
    assert "weights" in describe(differences(recorded, changed))
    changed = deepcopy(recorded)
    changed[name]["results"]["test"]["accuracy"] = -1.0
    assert "results.test.accuracy" in describe(differences(recorded, changed))
    assert differences(recorded, {}) and differences({}, recorded)


def test_another_machine_may_round_otherwise_and_no_more(recorded: dict[str, Any]) -> None:
    (name,) = recorded
    changed = deepcopy(recorded)
    changed[name]["losses"][3] *= 1.0005
    changed[name]["weights"] = "0" * 64
    assert not differences(recorded, changed, exact=False)
    changed[name]["losses"][3] *= 1.01
    assert differences(recorded, changed, exact=False)
    del changed[name]["results"]["test"]
    assert len(differences(recorded, changed, exact=False)[name]) == 2
