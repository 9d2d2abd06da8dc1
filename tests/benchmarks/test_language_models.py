"""The rows that both sides are given, and the tables made of what was measured."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

import language_models as benchmark
import peft_comparison
from language_model_works import WORKS, as_ours, questions, rows_of
from support import write_rows
from welltuned.config import run_config_from
from welltuned.rlhf.read_config import load_rlhf_config
from welltuned.training.preparation.load_config import load_config


def source(folder: Path, name: str, number: int = 6) -> Path:
    """A shared set in small."""
    rows = [
        {"instruction": f"Say {i}.", "output": f"{i}", "prompt": f"Say {i}. ", "chosen": f"{i}",
         "rejected": "no"}
        for i in range(number)
    ]  # fmt: skip
    file = folder / WORKS[name].source / "train.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", [name for name, work in WORKS.items() if not work.draws])
def test_no_token_reaches_over_the_seam_of_plain_rows(name: str, tmp_path: Path) -> None:
    rows = rows_of(name, source(tmp_path, name), 6)
    assert len({row["prompt"] for row in rows}) == 6
    if WORKS[name].plain:
        assert all(re.search(r"\S\n$", row["prompt"]) for row in rows)
    assert all(("messages" in as_ours(row, WORKS[name].plain)) == (name == "sft") for row in rows)
    if name == "kto":
        assert [row["label"] for row in rows] == [True, False] * 3


def test_too_few_rows_are_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="6 rows of at most"):
        rows_of("dpo", source(tmp_path, "dpo"), 7)


@pytest.mark.parametrize("name", list(WORKS))
def test_every_work_is_a_config_of_ours(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    if WORKS[name].draws:
        command = benchmark.our_grpo(Path("m"), tmp_path, 3, run)
        config = load_rlhf_config(command[-1], [])
        assert config.rl.title == "GRPO" and config.rl.total_episodes == 3 * 32
    else:
        command = benchmark.ours(WORKS[name], Path("m"), tmp_path, 3, run)
        assert load_config(command[-1], []).training.max_steps == 3


def test_a_question_has_its_middle_number() -> None:
    for row in questions(20):
        three = [int(number) for number in re.findall(r"\d+", row["prompt"])]
        assert int(row["completion"]) == sorted(three)[1]


MEASURED = {"cpu": "a processor", "cores": 2, "versions": {"torch": "2.13"}, "date": "2026-11-30"}


def test_the_table_sets_times_and_memory_beside_losses() -> None:
    found = {
        "ours": [1.0, 0.9],
        "theirs": [1.0, 0.91],
        "seconds": {"ours": 50.0, "theirs": 75.0},
        "bytes": {"ours": 2e9, "theirs": 4e9},
    }
    works = {"dpo": found, "grpo": found}
    lines = {name: benchmark.table({**MEASURED, "works": works}, name) for name in ("en", "zh")}
    assert "| DPO | 2 | 1.0000 / 1.0000 | 0.9000 / 0.9100 | 1.0e-02 | 1.50 | 0.50 |" in lines["en"]
    assert "0.9100 | – | 1.50 | 0.50 |" in lines["en"], "of GRPO rewards, which nobody compares"
    numbers = [re.findall(r"\d+\.\d+", text) for text in lines.values()]
    assert numbers[0] == numbers[1]


OPTIONS: Any = argparse.Namespace(
    model=Path("m"), data=Path("d"), steps=3, batch=2, questions=4, max_new_tokens=8, max_length=64
)


@pytest.mark.parametrize("name", list(peft_comparison.STRATEGIES))
def test_every_strategy_of_the_comparison_is_a_config(name: str) -> None:
    config = run_config_from(peft_comparison.config_of(name, OPTIONS, Path("run")))
    assert config.data.max_train_examples == 6
    assert config.evaluation.untrained == (name == peft_comparison.BEFORE)


def test_so_many_problems_are_tested_and_all_may_be_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / peft_comparison.SET
    folder.mkdir()
    for split in ("train", "validation", "test"):
        write_rows(folder / f"{split}.jsonl", [{"question": "q", "answer": "a"}] * 9)

    def stop(command: Any, place: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(peft_comparison, "timed", stop)
    options = argparse.Namespace(**{**vars(OPTIONS), "data": tmp_path, "tested": 5})
    with pytest.raises(InterruptedError):
        peft_comparison.measure("lora", options, tmp_path)
    config = json.loads((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    files = {split: Path(config["data"][split]) for split in ("train", "validation", "test")}
    assert [len(file.read_text().splitlines()) for file in files.values()] == [9, 5, 5]


def test_an_answer_is_right_by_its_final_number() -> None:
    rows = [
        {"response": "So it is 12.", "reference": "6 + 6 = 12\n#### 12"},
        {"response": "12 or 13", "reference": "#### 12"},
        {"response": "none", "reference": "#### 12"},
    ]
    assert peft_comparison.right(rows, "response") == 1


def test_the_model_as_it_was_stands_first() -> None:
    one = {
        "loss": 1.2, "loss_ci95": [1.1, 1.3], "right": 1, "asked": 16, "trainable": 1000,
        "kept": {"before": 4.1, "after": 4.2}, "train_seconds": 50.0, "seconds": 100.0,
        "bytes": 2e9, "artifact_bytes": 3e6, "before": {"loss": 2.0, "right": 0},
    }  # fmt: skip
    sizes = dict.fromkeys(peft_comparison.SIZES, 1)
    results = {**MEASURED, "sizes": sizes, "strategies": {"prefix": one, "lora": one}}
    english, chinese = (peft_comparison.table(results, language) for language in ("en", "zh"))
    lines = english.splitlines()
    assert lines[2].startswith("| the model as it was | 0 | 2.000 | 0 / 16 | 4.100 |")
    assert "| `lora` | 1,000 | 1.200 [1.100, 1.300] | 1 / 16 | 4.200 | 50 | 2.00 GB |" in lines[4]
    assert "原模型" in chinese and "4.200" in chinese
