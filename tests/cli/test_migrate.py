"""`welltuned migrate`: a table of what became of each key, and the config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TRL = "model_name_or_path: m\ndataset_name: a/b\nrun_name: mine\nmax_steps: -1\n"


@pytest.fixture(autouse=True)
def at_a_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sft.yaml").write_text(TRL, encoding="utf-8")


def test_every_key_is_told_with_its_line(call: Any, tmp_path: Path) -> None:
    status, out, err = call("migrate", "sft.yaml")
    assert (status, err) == (0, "")
    assert "sft.yaml is of TRL: 2 keys carried over, 1 not, 1 that need not be" in out
    assert "sft.yaml:1" in out and "model.name: m" in out
    assert "run_name: mine" in out and "Written: welltuned.yaml" in out
    assert (tmp_path / "welltuned.yaml").read_text(encoding="utf-8").startswith("# Carried over")


def test_what_is_missing_ends_with_status_two_and_is_written(call: Any, tmp_path: Path) -> None:
    (tmp_path / "sft.yaml").write_text("dataset_name: a/b\n", encoding="utf-8")
    status, out, err = call("migrate", "sft.yaml", "out=mine.yaml")
    assert status == 2 and "[migrate.nothing_named]" in err and "Next" not in out
    assert "# MISSING:" in (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    status, out, _ = call("migrate", "sft.yaml", "out=more.yaml", "--json")
    told = json.loads(out)
    assert status == 2 and [one["code"] for one in told["missing"]] == ["migrate.nothing_named"]
    assert told["library"] == "TRL" and told["config"]["data"] == {"train": "hub:a/b"}


def test_the_library_may_be_said(call: Any) -> None:
    status, _, err = call("migrate", "sft.yaml", "from=nothing")
    assert status == 2 and "from=axolotl" in err
    status, out, _ = call("migrate", "sft.yaml", "from=trl", "model=other", "--json")
    assert status == 0 and json.loads(out)["config"]["model"] == {"name": "other"}


def test_nothing_is_overwritten(call: Any, tmp_path: Path) -> None:
    (tmp_path / "welltuned.yaml").write_text("mine", encoding="utf-8")
    status, _, err = call("migrate", "sft.yaml")
    assert status == 2 and "[draft.file_exists]" in err
