"""How many tokens an example has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import WORDS, config_values, write_rows
from welltuned.config import RunConfig, run_config_from
from welltuned.training.preparation.prepare import RunPlan, prepare

KNOWN = WORDS[:6]


def config_of(model: str, data: Any) -> RunConfig:
    return run_config_from({"model": model, "data": data})


def plan(model: str, data: str, folder: Path, prompt: int, max_length: Any = "auto") -> RunPlan:
    """Of a model with 64 positions."""
    strategy = {"type": "prompt", "num_virtual_tokens": prompt}
    task = {"max_length": max_length}
    return prepare(run_config_from(config_values(model, data, strategy, folder, task=task)))


@pytest.mark.parametrize("number", [62, 64, 100])
@pytest.mark.parametrize("max_length", ["auto", 32])
def test_a_prompt_that_leaves_no_room_for_text_is_refused(
    number: int, max_length: Any, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """[CLS] and [SEP] take two more; the remedy works."""
    with refused("strategy.no_room_for_text", taken=number, limit=64, most=61):
        plan(tiny("bert"), sentiment, tmp_path, number, max_length)


def test_the_longest_prompt_leaves_room_for_a_token(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    found = plan(tiny("bert"), sentiment, tmp_path, 61)
    assert found.max_length == 3
    assert found.examples["train"].encoded.lengths.tolist() == [3] * 96


def test_a_length_that_leaves_no_room_for_the_prompt_is_refused(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    with refused("task.max_length_too_large", max_length=32, room=24):
        plan(tiny("bert"), sentiment, tmp_path, 40, 32)


def test_what_the_tokenizer_does_not_know_is_counted(tiny: Any, tmp_path: Path) -> None:
    """As texts of another script look to a model that never met it."""
    rows = [{"text": f"good {word}", "label": "ab"[i % 2]} for i, word in enumerate(KNOWN)]
    rows += [{"text": "good 漢字", "label": "a"}, {"text": "漢", "label": "b"}]
    data = {"train": write_rows(tmp_path / "train.jsonl", rows)}
    data |= {
        name: write_rows(tmp_path / f"{name}.jsonl", rows[:2]) for name in ("validation", "test")
    }
    found = prepare(config_of(tiny("bert"), {**data, "duplicates": "keep"}))
    noted_here = [n for n in found.data.facts.notes if n["code"] == "task.unknown_tokens"]
    values = [note["values"] for note in noted_here]
    unknown = int((found.examples["train"].encoded.ids == found.tokenizer.unk_token_id).sum())
    assert [(one["split"], one["texts"], one["total"]) for one in values] == [
        ("train", 2, len(rows))
    ]
    assert values[0]["share"] == unknown / len(found.examples["train"].encoded.ids)
