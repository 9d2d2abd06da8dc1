"""Before the first cell: how many steps an epoch has is what its training will count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import config_values, job_for, make_rows, write_rows
from welltuned.errors import Fault, InputError
from welltuned.experiments.comparison.worker import feasibility
from welltuned.experiments.comparison.worker.feasibility import check_feasibility
from welltuned.experiments.comparison.worker.protocol import Candidate

LORA = {"type": "lora", "r": 4}
FULL = {"type": "full"}


def checked(folder: Path, *configs: dict[str, Any]) -> list[dict[str, Any]]:
    """What is told of each config, in order."""
    variants: list[Candidate] = [
        {"name": str(number), "config": config, "pipeline": None}
        for number, config in enumerate(configs)
    ]
    found: list[dict[str, Any]] = []

    def tell(event: str, **values: Any) -> None:
        if event != "working":
            found.append({"event": event, **values})

    check_feasibility({"variants": variants, "timed": False, "folder": str(folder)}, tell)
    return found


def steps_of_a_job(*arguments: Any, **parts: Any) -> int:
    """Steps in the first epoch of a real training."""
    return job_for(*arguments, **parts).batches.count(1)[0]


@pytest.mark.parametrize("task", ["reward", "preference"])
def test_pairs_fill_steps_by_all_their_rows(
    task: str, tiny: Any, causal: Any, preferences: str, tmp_path: Path
) -> None:
    """A prompt's answers are rows of one example, and all of them take room."""
    model = tiny("bert") if task == "reward" else causal("llama")
    parts: dict[str, Any] = {"task": task, "training": {"max_tokens_per_step": 200}}
    values = config_values(model, preferences, LORA, tmp_path / "new", **parts)
    (told,) = checked(tmp_path / "timing", values)
    assert told["steps_per_epoch"] == steps_of_a_job(model, preferences, LORA, **parts)


def test_replayed_examples_take_steps_too(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    """Also where a variant without them has been checked before, on the same data."""
    old = write_rows(tmp_path / "old.jsonl", make_rows(40, seed=9))
    data: Any = {"train": sentiment, "replay": old}
    mixing = {"type": "replay", "share": 0.5}
    holding = {"type": "ewc", "on": "replay"}
    configs = [
        config_values(tiny("bert"), data, FULL, tmp_path / "new", protection=protection)
        for protection in (holding, mixing)
    ]
    plain, mixed = checked(tmp_path / "timing", *configs)
    assert plain["steps_per_epoch"] == 12 and mixed["steps_per_epoch"] == 24
    assert mixed["steps_per_epoch"] == steps_of_a_job(tiny("bert"), data, FULL, protection=mixing)


def test_texts_are_as_long_as_the_strategy_leaves_them(tiny: Any, tmp_path: Path) -> None:
    """A prompt takes positions of the model; variants on the same data may differ in them."""
    rows = [{**row, "text": " ".join([row["text"]] * 9)} for row in make_rows(60)]
    data = write_rows(tmp_path / "long.jsonl", rows)
    parts: dict[str, Any] = {"training": {"max_tokens_per_step": 130}}
    strategies = [LORA, {"type": "prompt", "num_virtual_tokens": 30}]
    told = checked(
        tmp_path / "timing",
        *(config_values(tiny("bert"), data, one, tmp_path / "new", **parts) for one in strategies),
    )
    expected = [steps_of_a_job(tiny("bert"), data, one, **parts) for one in strategies]
    assert [one["steps_per_epoch"] for one in told] == expected
    assert expected[0] > expected[1]


def test_a_model_that_cannot_be_had_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub may take half a minute to say no; what is wrong with a strategy is its own."""
    asked: list[str] = []
    codes = {"gone": "model.unreadable", "here": "strategy.example"}

    def refuse(config: Any, cache: Any, observer: Any) -> Any:
        asked.append(config.model.name)
        raise InputError(Fault(codes[config.model.name], "no"))

    monkeypatch.setattr(feasibility, "_check", refuse)
    names = ("gone", "here", "gone", "here")
    configs = [config_values(name, "d.jsonl", LORA, tmp_path / "new") for name in names]
    told = checked(tmp_path / "timing", *configs)
    assert [one["event"] for one in told] == ["cannot"] * 4
    assert [one["faults"][0]["code"] for one in told] == [codes[name] for name in names]
    assert asked == ["gone", "here", "here"]
