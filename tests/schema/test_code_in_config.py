"""Code that a config file names is not run before somebody has said that it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import brief, refused
from welltuned.config import run_config_from
from welltuned.errors import Faults, InputError
from welltuned.experiments.comparison.config import read_comparison
from welltuned.experiments.comparison.variants import find_variants
from welltuned.rlhf.read_config import load_rlhf_config
from welltuned.rlhf.rewards import JudgeSource
from welltuned.training.preparation.load_config import load_config

CONFIG = """model: {name: m, trust_remote_code: true}
data: d.csv
task:
  type: generation
  metrics: [mine.metrics.rouge]
training:
  callbacks:
  - mine.callbacks.Beep
engine: mine.loop.train
"""


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has allowed imports."""
    monkeypatch.setenv("WELLTUNED_ALLOW_IMPORTS", "")


def written(folder: Path, text: str) -> str:
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    return str(folder / "c.yaml")


def test_every_key_of_a_file_that_runs_code_is_refused_with_its_place(
    tmp_path: Path, unasked: None
) -> None:
    with pytest.raises(InputError) as caught:
        load_config(written(tmp_path, CONFIG), [])
    told = [line for line in brief(caught.value.faults) if "config." in line]
    places = ["c.yaml:1:18", "c.yaml:5:13", "c.yaml:8:5", "c.yaml:9:1"]
    assert told == [f"{place} config.code_not_allowed" for place in places]


def test_a_persons_own_word_is_enough(
    tmp_path: Path, unasked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, CONFIG.replace("engine: mine.loop.train\n", ""))
    line = ["model={name: m}", "task.metrics=[my.metric]", "training.callbacks=[]"]
    config = load_config(file, [*line, "engine=my.loop"])
    assert config.engine == "my.loop" and config.task.model_dump()["metrics"] == ("my.metric",)
    assert run_config_from({"model": "m", "data": "d", "engine": "my.loop"}).engine == "my.loop"
    monkeypatch.setenv("WELLTUNED_ALLOW_IMPORTS", "1")
    assert load_config(written(tmp_path, CONFIG), []).engine == "mine.loop.train"


def test_a_pipeline_asks_too(tmp_path: Path, unasked: None) -> None:
    text = "pipeline: rlhf\nmodel: m\ndata: d.csv\nreward: {function: mine.judge}\n"
    with refused("config.code_not_allowed", key="reward.0.function", value="'mine.judge'"):
        load_rlhf_config(written(tmp_path, text), [])
    text = text.replace("{function: mine.judge}", "runs/judge")
    judge = load_rlhf_config(written(tmp_path, text), ["reward={function: my.judge}"]).reward[0]
    assert isinstance(judge, JudgeSource) and judge.function == "my.judge"


def test_a_comparison_asks_too_for_a_strategy_of_its_own(tmp_path: Path, unasked: None) -> None:
    text = "model: m\ndata: d.csv\nstrategies:\n- full\n- {type: lora, engine: mine.loop}\n"
    faults = Faults()
    config, document = read_comparison(written(tmp_path, text), [], faults)
    assert config is not None and not len(faults)
    find_variants(config, document, faults)
    assert brief(faults) == ["c.yaml:5:16 config.code_not_allowed"]


def test_the_option_of_a_verb_allows_it(tmp_path: Path, unasked: None, call: Any) -> None:
    file = written(tmp_path, CONFIG)
    assert "[config.code_not_allowed]" in call("data", file)[2]
    status, _, err = call("data", file, "--allow-imports")
    assert status == 2 and "config.code_not_allowed" not in err
