"""docs/results.md is made from comparisons, and from nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from welltuned.errors import Faults
from welltuned.experiments.comparison.config import read_comparison
from welltuned.experiments.comparison.variants import find_variants
from welltuned.runs.comparison_folder import Comparison

SCRIPT = Path(__file__).parents[1] / "benchmarks/comparisons.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("comparisons", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_is_in_the_document(script: Any, compared: Comparison) -> None:
    text = script.document([compared])
    results = compared.results
    for row in results["rows"]:
        mark = "●" if row["name"] in results["group"] else ""
        mean = row["scores"]["macro_f1"]["mean"]
        assert f"| {mark} | {row['name']} | {mean:.3f} |" in text
    assert f"Recommended: **{results['recommendation']['strategy']}**" in text
    assert "welltuned compare …" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1, "all rows have as many cells"


def test_findings_are_filled_in_by_what_was_measured(script: Any, compared: Comparison) -> None:
    score = next(r for r in compared.results["rows"] if r["name"] == "lora r=2")["scores"]
    text = script.filled("LoRA got [[reviews lora r=2 macro_f1]].", [compared])
    assert text == f"LoRA got {score['macro_f1']['mean']:.3f}."
    with pytest.raises(StopIteration):
        script.filled("[[reviews magic macro_f1]]", [compared])


def test_its_command_is_a_sound_comparison(script: Any) -> None:
    faults = Faults()
    verb, *overrides = script.command_for(Path("data/sentiment_en_mr"), ["seeds=2"])
    config, document = read_comparison(None, overrides, faults)
    assert verb == "compare" and config is not None and not list(faults)
    assert len(find_variants(config, document, faults)) == 10 and not list(faults)
    assert config.data.train == "data/sentiment_en_mr/train.jsonl"
    assert config.seeds == 2
