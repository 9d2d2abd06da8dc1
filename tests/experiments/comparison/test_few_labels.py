"""Whether contrast is named in a comparison that it has no part in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from comparing import values_for
from support import make_rows, write_rows
from welltuned import strategies
from welltuned.errors import Faults
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.few_labels import FEW, few_labels_note
from welltuned.experiments.comparison.variants import find_variants
from welltuned.schema.document import Document
from welltuned.schema.messages import Message, render_message
from welltuned.training.preparation.data_cache import DataCache


def told(tiny: Any, data: str, folder: Path, **parts: Any) -> Message | None:
    values = values_for(tiny("bert"), data, folder, **parts)
    config, faults = comparison_from(values), Faults()
    variants = find_variants(config, Document(source="arguments"), faults)
    faults.raise_if_any()
    return few_labels_note(config, variants, DataCache())


def test_few_labels_are_told_of_and_how_few(tiny: Any, few: str, tmp_path: Path) -> None:
    note = told(tiny, few, tmp_path)
    assert note is not None
    assert "about 24 training texts" in render_message(note)


def test_nothing_is_said_where_it_takes_part(tiny: Any, few: str, tmp_path: Path) -> None:
    assert told(tiny, few, tmp_path, strategies=["full", "contrastive"]) is None


def test_nothing_is_said_of_many_labels(tiny: Any, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "many.jsonl", make_rows(2 * FEW + 60))
    assert told(tiny, data, tmp_path) is None


def test_nothing_is_said_where_there_are_no_labels(tiny: Any, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": i / 7} for i, row in enumerate(make_rows(60))]
    data = write_rows(tmp_path / "numbers.jsonl", rows)
    task = {"type": "classification", "problem": "regression"}
    assert told(tiny, data, tmp_path, task=task) is None


def test_the_number_is_that_of_the_defaults() -> None:
    file = Path(strategies.__file__).with_name("defaults.yaml")
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))["contrastive"]
    assert {entry["pays_up_to"][0] for entry in entries} == {FEW}
