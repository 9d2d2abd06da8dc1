"""The demonstration of a chat model: three runs in a row, each from the model before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llamas import speaking
from welltuned.cli import demo
from welltuned.deployment.export.gguf.format import write_gguf
from welltuned.rlhf.read_config import load_rlhf_config
from welltuned.runs import Run
from welltuned.training.preparation.load_config import load_config


def test_every_stage_is_a_line_of_train() -> None:
    lines = [["model=m", *keys] for keys in demo.LLM_STAGES.values()]
    examples, preferences = (load_config(None, line) for line in lines[:2])
    rewards = load_rlhf_config(None, lines[2])
    assert (examples.task.type, preferences.task.type) == ("generation", "preference")
    assert rewards.skips_sft and examples.data.test == rewards.data.test == "demo:middle_test_en"
    assert rewards.rl.title == "GRPO" and rewards.reward[0].needed_columns == ("completion",)
    assert examples.strategy == preferences.strategy == rewards.strategy


def test_other_words_are_refused(call: Any) -> None:
    status, out, err = call("demo", "llm", "epochs=3")
    assert (status, out) == (2, "") and "[cli.demo_word_unknown]" in err


def _with(changes: dict[str, str], text: str) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


@pytest.mark.slow
def test_three_runs_in_a_row_end_with_what_each_of_them_changed(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    artifact = speaking(max_position_embeddings=256, num_hidden_layers=2)
    write_gguf(artifact, tmp_path / "tiny.gguf", "fp32")
    few = (
        "grpo={total_episodes: 32, batch_size: 16, num_generations: 8, response_length: 4, "
        "eval_examples: 8}"
    )
    stages = demo.LLM_STAGES
    stages = {**stages, "rewards": (*stages["rewards"][:-1], few)}
    smaller = {
        "num_blocks: 8": "num_blocks: 1",
        "{type: final_number, column: completion}": "{type: pattern, pattern: '[a-m]'}",
    }  # which a random model meets now and then
    small = {name: [_with(smaller, key) for key in keys] for name, keys in stages.items()}
    monkeypatch.setattr(demo, "LLM_STAGES", small)
    status, out, err = call("demo", "llm", "model=tiny.gguf", "out=here", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert list(found["runs"]) == ["examples", "preferences", "rewards"]
    assert all(Run(Path(folder)).is_finished for folder in found["runs"].values())
    assert f"model={found['runs']['examples']}" in err, "each begins with the model before"
    first = found["answers"][0]
    assert first["question"].startswith("Middle of") and first["reference"].strip().isdigit()
    assert {*first} >= {"the model as it was", "after examples", "after rewards"}
    assert found["forgotten"]["texts"] == 24 and found["forgotten"]["difference"] != 0
    assert found["rewards"]["gain_ci95"][0] <= found["rewards"]["gain"]
