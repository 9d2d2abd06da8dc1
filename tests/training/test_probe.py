"""`welltuned probe`: where a task lives in an untouched network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from support import config_values

HEAD = {"type": "partial", "num_blocks": 0}


def test_it_prints_a_bar_a_block_and_what_follows(tiny: Any, sentiment: str, call: Any) -> None:
    status, out, _ = call(
        "probe", f"model={tiny('bert')}", f"data={sentiment}", "task.pooling=mean"
    )
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:7]] == [*["block"] * 4, "embeddings", "chance"]
    assert [line.split()[1] for line in lines[1:5]] == ["3", "2", "1", "0"], "the top on top"
    assert all("█" in line for line in lines[1:6])
    assert "Worth unfreezing: the top " in out and "of 4 blocks." in out
    assert "strategy={type: partial, num_blocks: " in out


def test_json_and_a_page_say_the_same(tiny: Any, sentiment: str, call: Any, tmp_path: Path) -> None:
    page = tmp_path / "probe.html"
    _, out, err = call(
        "probe", f"model={tiny('bert')}", f"data={sentiment}", "task.pooling=mean", "--json",
        "--chart", page,
    )  # fmt: skip
    found = json.loads(out)
    assert found["texts"] == {"fitted": 86, "scored": 108}, "train and validation, and no test"
    assert len(found["before"]) == 5 and "after" not in found
    html = page.read_text(encoding="utf-8")
    assert str(page) in err
    assert f"Linear probe of every block before tuning: embeddings {found['before'][0]:.3f}" in html
    assert found["hint"]["why"] in html.replace("&#39;", "'")
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_a_config_of_a_run_will_do(tiny: Any, sentiment: str, call: Any, tmp_path: Path) -> None:
    """What it says of strategy, protection and folder is for tuning, and not read."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old.txt").write_text("in use")
    values = config_values(
        tiny("bert"), sentiment, HEAD, tmp_path / "run", task={"pooling": "mean"},
        protection="lp_ft",
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    status, out, _ = call("probe", tmp_path / "config.yaml", "--json")
    assert status == 0 and json.loads(out)["metric"] == "macro_f1"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["old.txt"]


def test_text_cannot_be_probed(causal: Any, instructions: str, call: Any) -> None:
    status, out, err = call(
        "probe", f"model={causal('llama')}", f"data={instructions}", "task=generation",
        "task.max_length=48",
    )  # fmt: skip
    assert (status, out) == (2, "")
    assert "[probe.task_unsupported]" in err
