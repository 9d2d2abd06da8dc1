"""What an export is judged on: the run's own data, and only those."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import make_rows, write_rows
from welltuned.artifact.save_load import load_artifact
from welltuned.data.records import Records
from welltuned.deployment.export import proof_data
from welltuned.deployment.export.proof_data import ProofData
from welltuned.runs import Run


@pytest.fixture
def own(finished: Run, sentiment: str, tmp_path: Path) -> Run:
    """A run whose file a test may spoil."""
    file = str(shutil.copy(Path(sentiment), tmp_path / "data.jsonl"))
    run = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    config = run / "config.yaml"
    text = config.read_text(encoding="utf-8")
    assert sentiment in text
    config.write_text(text.replace(sentiment, file), encoding="utf-8")
    return Run(run)


def read(run: Run) -> ProofData:
    return ProofData.of(run, load_artifact(run.model))


def test_the_splits_are_those_of_the_run(own: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_data, "CALIBRATION", 10)
    data = read(own)
    sizes: Any = {name: part["rows"] for name, part in own.read("data.json")["splits"].items()}
    assert data.split == "test"
    assert len(data.validation) == sizes["validation"] and len(data.judged) == sizes["test"]
    assert len(data.calibration) == 10 < sizes["train"]
    scored = [int(row["id"].rpartition(":")[2]) for row in own.read_lines("predictions.jsonl")]
    assert data.judged.records.lines == scored


def test_a_sealed_test_split_is_not_read(own: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "judged", "validation")
    data = read(own)
    assert data.split == "validation" and data.judged is data.validation


def test_data_that_have_gone_are_missed_with_their_name(own: Run, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").unlink()
    with refused("export.data_unreadable", place=str(own.folder)) as caught:
        read(own)
    assert "data.jsonl" in str(caught.value.faults[0])


def test_a_config_that_is_damaged_is_told(own: Run) -> None:
    (own.folder / "config.yaml").write_text("data: [", encoding="utf-8")
    with refused("export.data_unreadable"):
        read(own)


def test_other_data_at_the_same_place_prove_nothing(own: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "data.jsonl", make_rows(120, seed=7))
    with refused("export.data_changed", place=str(own.folder)):
        read(own)


def test_of_many_records_some_are_drawn_in_their_order_and_always_the_same() -> None:
    records = Records("file", {"text": list(map(str, range(50)))}, list(range(1, 51)), ("text",))
    drawn = [proof_data._drawn(records, 20).lines for _ in range(2)]
    assert drawn[0] == drawn[1] == sorted(set(drawn[0])) and len(drawn[0]) == 20
    assert drawn[0] != list(range(1, 21))
    assert proof_data._drawn(records, 50) is records
