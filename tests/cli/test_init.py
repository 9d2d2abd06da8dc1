"""`welltuned init`: a config from a data file or a template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import make_rows, write_rows


@pytest.fixture(autouse=True)
def at_a_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_config_is_written(call: Any, tmp_path: Path) -> None:
    write_rows(tmp_path / "reviews.jsonl", make_rows(40))
    status, out, _ = call("init", "reviews.jsonl")
    assert status == 0 and "Written: welltuned.yaml" in out and "Labels in train" in out
    status, out, _ = call("init", "reviews.jsonl", "out=other.yaml", "model=some/model", "--json")
    told = json.loads(out)
    assert told["file"] == "other.yaml" and told["config"]["model"] == {"name": "some/model"}


def test_nothing_is_overwritten(call: Any, tmp_path: Path) -> None:
    write_rows(tmp_path / "reviews.jsonl", make_rows(40))
    (tmp_path / "welltuned.yaml").write_text("mine", encoding="utf-8")
    status, out, err = call("init", "reviews.jsonl")
    assert (status, out) == (2, "") and "[draft.file_exists]" in err and "out=FILE" in err
    assert (tmp_path / "welltuned.yaml").read_text(encoding="utf-8") == "mine"


def test_a_template_is_written(call: Any, tmp_path: Path) -> None:
    status, out, _ = call("init", "--template", "pairs", "out=dpo.yaml")
    assert status == 0 and "Written: dpo.yaml" in out
    assert "type: preference" in (tmp_path / "dpo.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "cli.init_source"),
        (["a.csv", "--template", "pairs"], "cli.init_source"),
        (["--template", "pairs", "seed=1"], "cli.init_template_keys"),
        (["--template", "nothing"], "draft.template_unknown"),
        (["a.csv", "out="], "cli.word_value"),
        (["none.csv"], "data.file_missing"),
    ],
)
def test_what_cannot_be_done_is_told(
    arguments: list[str], code: str, call: Any, tmp_path: Path
) -> None:
    status, _, err = call("init", *arguments)
    assert status == 2 and f"[{code}]" in err
    assert list(tmp_path.glob("*.yaml")) == []
