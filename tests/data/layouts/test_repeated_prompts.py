"""Prompts within answers: parted from transcripts, and taken off once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import full
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.errors import Faults
from welltuned.tasks import Reward

QUESTION, MORE = "Human: How long {}?", "Human: And then {}?"


def gather(path: Path, rows: list[dict[str, Any]], **data: Any) -> tuple[DataSplits | None, Any]:
    faults, task = Faults(), Reward()
    file = write_rows(path / "a.jsonl", rows)
    config = DataConfig(train=file, **data)
    return collect(config, task.roles, faults, task.convert), full(faults)


def good(path: Path, rows: list[dict[str, Any]], **data: Any) -> DataSplits:
    found, faults = gather(path, rows, **data)
    assert faults == [] and found is not None
    return found


def picked(data: DataSplits) -> list[tuple[str, str]]:
    return [(reading.question, reading.picked) for reading in data.facts.readings]


def hh(*asked: str, number: int = 40, chosen: str = "Long", rejected: str = "No") -> list[Any]:
    def told(i: int, answer: str) -> str:
        return "".join(f"\n\n{turn.format(i)}" for turn in asked) + f"\n\nAssistant: {answer} {i}"

    return [{"chosen": told(i, chosen), "rejected": told(i, rejected)} for i in range(number)]


def test_the_common_beginning_of_transcripts_is_the_prompt(tmp_path: Path) -> None:
    data = good(tmp_path, hh(QUESTION))
    i = data.train.lines.index(1)
    assert data.train["prompt"][i] == "How long 0?"
    assert data.train["responses"][i] == ["Long 0", "No 0"]
    assert picked(data) == [("prompts in answers", "transcripts")]


def test_all_turns_but_the_last_are_the_prompt(tmp_path: Path) -> None:
    data = good(tmp_path, hh(QUESTION, "Assistant: Short", MORE))
    assert [turn["role"] for turn in data.train["messages"][0]] == ["user", "assistant", "user"]
    assert data.train["messages"][0][1]["content"] == "Short"


def test_answers_that_begin_alike_are_cut_at_the_turn_and_not_within_it(tmp_path: Path) -> None:
    data = good(tmp_path, hh(QUESTION, chosen="As long as it is", rejected="As long"))
    assert sorted(data.train["responses"][0][1].split()[:2]) == ["As", "long"]


def test_lines_within_an_answer_are_no_turns(tmp_path: Path) -> None:
    data = good(tmp_path, hh(QUESTION, chosen="He said\nHuman: no\nand"))
    assert "Human: no" in data.train["responses"][0][0]


def test_transcripts_that_part_early_keep_their_turns_and_are_counted(tmp_path: Path) -> None:
    row = {
        "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
        "rejected": "\n\nHuman: a\n\nAssistant: x\n\nHuman: y\n\nAssistant: z",
    }
    data = good(tmp_path, [row, *hh(QUESTION)], split={"validation": 0.1, "test": 0.1})
    (note,) = [m for m in data.facts.notes if m["code"] == "data.answers_of_several_turns"]
    assert note["values"]["lines"] == "1"
    said = [r for s in ("train", "validation", "test") for r in data[s]["responses"]]
    assert ["b\n\nHuman: c\n\nAssistant: d", "x\n\nHuman: y\n\nAssistant: z"] in said


def test_transcripts_of_different_questions_are_refused_at_their_line(tmp_path: Path) -> None:
    other = {"chosen": "Human: a\n\nAssistant: b", "rejected": "Human: c\n\nAssistant: d"}
    _, faults = gather(tmp_path, [*hh(QUESTION), other])
    assert faults == ["a.jsonl:41 data.prompts_differ"]


def test_texts_that_are_no_transcripts_need_a_prompt(tmp_path: Path) -> None:
    rows = [{"chosen": f"Q {i} yes", "rejected": f"Q {i} no"} for i in range(20)]
    _, faults = gather(tmp_path, rows)
    assert faults[0].startswith("a.jsonl:1 data.cell_missing role=prompt")


def repeating(number: int = 40, often: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"Why {i}?",
            "chosen": (f"Why {i}? " if i < often else "") + f"Because {i}",
            "rejected": (f" Why {i}?\n" if i < often else "") + f"No {i}",
        }
        for i in range(number)
    ]


def test_a_prompt_that_all_answers_repeat_is_taken_off_once(tmp_path: Path) -> None:
    data = good(tmp_path, repeating())
    i = data.train.lines.index(2)
    assert data.train["responses"][i] == ["Because 1", "No 1"]
    assert picked(data) == [("prompts in answers", "repeated")]
    kept = good(tmp_path, repeating(), prompt_in_answers="keep")
    assert kept.train["responses"][i] == ["Why 1? Because 1", " Why 1?\nNo 1"]
    assert picked(kept) == []


def test_a_prompt_that_most_answers_repeat_is_asked_about_and_the_remedies_work(
    tmp_path: Path,
) -> None:
    rows = repeating(often=30)
    _, faults = gather(tmp_path, rows)
    assert faults == ["a.jsonl:31 data.prompt_in_answers_unclear repeats=30 rows=40"]
    removed = good(tmp_path, rows, prompt_in_answers="remove")
    assert not any("Why" in said for group in removed.train["responses"] for said in group)
    kept = good(tmp_path, rows, prompt_in_answers="keep")
    assert any("Why" in said for group in kept.train["responses"] for said in group)


def test_a_transcript_beside_its_prompt_loses_it(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"\n\nHuman: Why {i}?\n\nAssistant:", **row}
        for i, row in enumerate(hh("Human: Why {}?"))
    ]
    data = good(tmp_path, rows)
    assert data.train["responses"][data.train.lines.index(1)] == ["Long 0", "No 0"]


@pytest.mark.parametrize(("score", "value"), [("3,5", 3.5), ("4,0", 4.0)])
def test_ratings_may_have_a_decimal_comma(tmp_path: Path, score: str, value: float) -> None:
    scores = ["3,5", "4,0", "2,0", "4,5"]
    rows = [{"prompt": f"p{i}", "response": "r", "score": scores[i % 4]} for i in range(40)]
    data = good(tmp_path, rows)
    assert value in data.train["score"] and score not in data.train["score"]
    assert picked(data) == [("decimal mark", "comma")]


def test_margins_that_may_be_either_are_asked_about(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"p{i}", "chosen": "a", "rejected": "b", "margin": "1,250"} for i in range(40)
    ]
    assert "data.decimal_unclear" in gather(tmp_path, rows)[1][0]
    data = good(tmp_path, rows, decimal="comma")
    assert data.train["pairs"][0][0].margin == 1.25
