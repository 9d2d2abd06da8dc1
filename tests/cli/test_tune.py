"""`welltuned tune data` and `tune lr` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from comparing import without_processes
from support import config_values
from welltuned.training import train

pytestmark = pytest.mark.charts


@pytest.fixture
def call(call: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As everywhere, but the runs have no processes of their own, and write no reports."""
    without_processes(monkeypatch)
    monkeypatch.setattr(train, "write_run_report", lambda run: None)
    return call


@pytest.fixture
def file(tiny: Any, sentiment: str, tmp_path: Path) -> Path:
    """A config of runs of one step into `tmp_path/curve`."""
    values = config_values(
        tiny("bert"),
        sentiment,
        {"type": "partial", "num_blocks": 0},
        tmp_path / "curve",
        task={"pooling": "mean"},
        training={"max_steps": 1, "num_train_epochs": "auto"},
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "config.yaml"


def test_the_curve_is_printed_and_kept(call: Any, file: Path, tmp_path: Path) -> None:
    shares = "shares=[0.1, 0.3, 0.6, 1]"
    status, out, err = call("tune", "data", file, "seeds=2", shares)
    assert status == 0, err
    found = json.loads((tmp_path / "curve" / "learning_curve.json").read_text())
    assert [point["examples"] for point in found["points"]] == [10, 29, 58, 96]
    assert found["advice"] in out.splitlines()
    assert out.splitlines()[-1] == f"report      {tmp_path}/curve/report.html"
    assert "run 8/8 · 96 examples, seed 1: macro_f1" in err and "\x1b" not in err
    status, out, err = call("tune", "data", file, "seeds=2", shares, "--json")
    assert status == 0 and json.loads(out) == found
    assert err.count("was there already") == 8


def test_a_mistake_is_one_line(call: Any, file: Path) -> None:
    status, out, err = call("tune", "data", file, "sedes=2")
    assert (status, out) == (2, "") and len(err.splitlines()) == 1
    status, out, err = call("tune", "data", file, "shares=[0.5, 1]")
    assert (status, out) == (2, "") and "curve.shares_not_ascending" in err


def test_the_verbs_explain_themselves(call: Any) -> None:
    for words in (("tune",), ("tune", "data")):
        status, out, _ = call(*words, "--help")
        assert status == 0 and "welltuned tune" in out


# --- tune lr ---------------------------------------------------------------------


@pytest.fixture
def whole(file: Path) -> Path:
    """The config with a strategy that learns something from so few examples."""
    values = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**values, "strategy": "full"}))
    return file


def test_a_learning_rate_is_suggested_drawn_and_kept(
    call: Any, whole: Path, tmp_path: Path
) -> None:
    status, out, err = call("tune", "lr", whole)
    assert status == 0, err
    kept = json.loads((tmp_path / "curve" / "range_test.json").read_text())
    assert f"training.learning_rate={kept['suggestion']:g}" in out
    assert "a tenth of that rate" in out and out.splitlines()[-1].endswith("range_test.html")
    page = (tmp_path / "curve" / "range_test.html").read_text()
    assert "<svg" in page and f"{kept['suggestion']:.2g}" in page
    assert sorted(path.name for path in (tmp_path / "curve").iterdir()) == [
        "range_test.html",
        "range_test.json",
    ]


def test_a_learning_rate_for_programs(call: Any, whole: Path, tmp_path: Path) -> None:
    status, out, _ = call("tune", "lr", whole, "--json", "report.language=zh")
    found = json.loads(out)
    assert status == 0 and found["folder"] == str(tmp_path / "curve")
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"])
    assert "建议" in (tmp_path / "curve" / "range_test.html").read_text(encoding="utf-8")


def test_a_config_that_cannot_work_is_refused_before_any_weight(call: Any, whole: Path) -> None:
    status, out, err = call("tune", "lr", whole, "model=/nowhere/at/all")
    assert (status, out) == (2, "") and len(err.splitlines()) == 1
