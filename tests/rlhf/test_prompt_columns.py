"""Columns of the prompts' own rows, as rewards read them: found for every record, or refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import my_judges
import welltuned as wt
from faults import fails, refused
from pipelines import generation
from support import make_rows, write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.errors import Faults
from welltuned.rlhf.prompt_columns import PromptColumns, require_cells
from welltuned.rlhf.prompts import Prompts
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.runs import Run
from welltuned.runs.checkpoints import newest_checkpoint
from welltuned.tasks import TEXT_TASK
from welltuned.training.preparation.data_cache import DataCache

ROWS = [
    {"prompt": f"What is {i} + 1?", "completion": f" {i + 1}", "answer": i + 1, "more": {"of": i}}
    for i in range(40)
]


def read(
    file: str, reward: Any, faults: Faults | None = None, **data: Any
) -> tuple[PromptColumns, DataSplits]:
    values = {"train": file, **data}
    config = rlhf_config_from({"model": "m", "data": values, "reward": reward})
    columns = PromptColumns.read(config, DataCache())
    records = collect(
        DataConfig.model_validate(values), TEXT_TASK.roles, Faults(), TEXT_TASK.convert
    )
    assert records is not None
    if faults is not None:
        require_cells(config, records, columns, faults)
    return columns, records


def test_every_split_has_the_cells_of_its_own_rows(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", ROWS)
    test = write_rows(tmp_path / "test.jsonl", [{**row, "answer": -1} for row in ROWS[:3]])
    columns, records = read(train, "final_number", test=test, duplicates="keep")
    for split in ("train", "validation"):
        prompts = records[split]["prompt"]
        answers = [int(prompt.split()[2]) + 1 for prompt in prompts]
        assert len(prompts) and columns.of(split, records[split]) == {"answer": answers}
    assert columns.of("test", records.test.take([2, 0])) == {"answer": [-1, -1]}


def test_a_column_may_lie_within_another(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", ROWS)
    columns, records = read(file, [{"type": "final_number", "column": "more.of"}, "final_number"])
    some = records.train.take(range(5))
    found: Any = columns.of("train", some)
    assert [answer - 1 for answer in found["answer"]] == found["more.of"]


def test_rewards_without_columns_read_nothing(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", ROWS)
    columns, records = read(file, "json")
    assert columns.of("train", records.train) == {} and columns.fingerprint_with("a") == "a"


def test_cells_are_part_of_what_data_are_known_by(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    known = []
    for more in (0, 0, 1):
        write_rows(file, [{**row, "answer": 7 + more} for row in ROWS])
        known.append(read(str(file), "final_number")[0].fingerprint_with("a"))
    assert known[0] == known[1] != known[2]


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", ROWS)
    reward = [{"type": "final_number", "column": "anwser"}, {"function": "a.b", "columns": ["x"]}]
    code = "rlhf.reward_column_missing"
    with refused(code, code, place=f"{file}:1", column="anwser", reward="final_number"):
        read(file, reward)


def test_cells_that_are_of_no_use_are_refused_with_their_lines(tmp_path: Path) -> None:
    rows = [{**row, "answer": "none" if i == 7 else i} for i, row in enumerate(ROWS)]
    file = write_rows(tmp_path / "train.jsonl", rows)
    faults = Faults()
    read(file, "final_number", faults)
    (fault,) = faults
    assert (fault.code, str(fault.place)) == ("rlhf.reward_cell_unusable", f"{file}:8")


def test_a_missing_column_is_refused_before_any_weight_is_loaded(
    causal: Callable[..., str], stories: str, tmp_path: Path
) -> None:
    values = generation(causal("llama"), stories, tmp_path / "run", reward="final_number")
    with refused("rlhf.reward_column_missing", column="answer"):
        wt.train(values)
    assert not (tmp_path / "run").exists()


def test_cells_go_where_their_prompts_go() -> None:
    prompts = Prompts([[1], [2], [3]], ["a", "b", "c"], columns={"answer": [7, 8, 9]})
    again = prompts.take([2, 2, 0])
    assert again.texts == ["c", "c", "a"] and again.columns == {"answer": [9, 9, 7]}


def test_a_pipeline_learns_from_them_and_outlives_a_reward_that_hangs(
    causal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends saved where the reward was not back in time, and goes on once that is mended."""
    rows = [{"text": row["text"], "word": "good"} for row in make_rows(60, seed=3)]
    file = write_rows(tmp_path / "stories.jsonl", rows)
    calls = iter(range(1, 100))
    real = my_judges.wants_word

    def hangs(*asked: Any) -> list[float]:
        if next(calls) == 5:
            time.sleep(30)
        return real(*asked)

    judge = {"function": "my_judges.wants_word", "columns": ["text", "word"], "time_limit": "2s"}
    reward = [judge, {"type": "length", "at_most": 5, "unit": "tokens", "weight": 0.1}]
    second = {"second_reward": {"type": "contains", "column": "word"}, "eval_steps": 6}
    values = generation(
        causal("llama"), file, tmp_path / "run", reward=reward, ppo=second, sft="skip"
    )
    monkeypatch.setattr(my_judges, "wants_word", hangs)
    with fails("rlhf.reward_too_slow", name="my_judges.wants_word"):
        wt.train(values)
    stage = Run(tmp_path / "run" / "stages" / "rl")
    assert stage.state == "failed" and newest_checkpoint(stage.snapshots) is not None
    run = wt.resume(tmp_path / "run")
    assert run.results["training"]["steps"] == 6 and run.state == "finished"
    assert 0 <= run.results["test"]["second_reward"] <= 1
