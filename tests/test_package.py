"""`import welltuned as wt`: the three functions people call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import welltuned as wt
from comparing import values_for
from welltuned.errors import InputError
from welltuned.experiments.comparison.config import comparison_from
from welltuned.runs.comparison_folder import Comparison


def test_compare_takes_a_mapping_keywords_a_file_or_a_config(
    compared: Comparison, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """Nothing runs again, so this shows that all four ask for the same."""
    values = values_for(tiny("bert"), sentiment, compared.folder)
    file = tmp_path / "compare.yaml"
    file.write_text(yaml.safe_dump(values))
    for given in ((values,), (str(file),), (file,), (comparison_from(values),)):
        comparison = wt.compare(*given)
        assert comparison.folder == compared.folder
        assert comparison.results["group"] == compared.results["group"]
    assert wt.compare(**values).folder == compared.folder
    assert len(list((compared.folder / "cells").glob("*/*"))) == 4


def test_compare_refuses_what_cannot_work() -> None:
    with pytest.raises(InputError, match="did you mean 'lora'"):
        wt.compare(model="m", data="d.jsonl", strategies=["lorra"])
    with pytest.raises(InputError, match="unknown key 'seed'"):
        wt.compare(model="m", data="d.jsonl", seed=3)
