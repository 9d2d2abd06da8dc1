"""The questions of the benchmark of the middle number, and the table made of its numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import middle_grpo as benchmark
from welltuned.rlhf.read_config import rlhf_config_from


def test_no_question_is_asked_twice_and_every_answer_is_right(tmp_path: Path) -> None:
    files = benchmark.write_questions(tmp_path)
    rows = [
        json.loads(line)
        for file in files.values()
        for line in Path(file).read_text("utf-8").splitlines()
    ]
    assert len({row["prompt"] for row in rows}) == len(rows) == sum(benchmark.SIZES.values())
    for row in rows:
        three = [int(number) for number in re.findall(r"\d+", row["prompt"])]
        assert row["answer"] == sorted(three)[1] and len(set(three)) == 3
        assert row["completion"] == f" {row['answer']}"


def test_its_pipeline_is_one(tmp_path: Path) -> None:
    files = dict.fromkeys(benchmark.SIZES, "questions.jsonl")
    config = rlhf_config_from(benchmark.pipeline("m", files, tmp_path, batches=3))
    assert config.rl.title == "GRPO" and config.rl.total_episodes == 3 * 8 * benchmark.ANSWERS
    assert config.reward[0].needed_columns == ("answer",)


def test_the_table_has_the_same_numbers_in_both_languages() -> None:
    one = {"mean": 0.25, "low": 0.2, "high": 0.3}
    scores = {"reward": 0.5, "second_reward": 1.0, "distinct_1": 0.4, "kl": 0.1}
    found: dict[str, Any] = {
        "test": {**scores, "reward_gain": 0.25, "reward_gain_ci95": [0.2, 0.3]},
        "reference": scores,
        "greedy": {"sft": one, "rl": one, "gain": one},
        "general_loss": {"pretrained": one, "sft": one, "rl": one},
        "general_change": {"sft": one, "rl": one},
        "entropy": [0.9, 0.5],
    }
    tables = [benchmark.page_part(found, language) for language in ("en", "zh")]
    numbers = [re.findall(r"[-+]?\d+\.\d+", table) for table in tables]
    assert numbers[0] == numbers[1] and "+0.250 [+0.200, +0.300]" in tables[0]
