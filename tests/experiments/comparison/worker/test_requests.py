"""What is asked of workers while planning, and what follows from their answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.config import run_config_from
from welltuned.errors import Fault, RunFailed
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker import requests
from welltuned.experiments.comparison.worker.requests import (
    _missing_models,
    _require_possible,
    request_baselines,
)
from welltuned.runs.comparison_folder import Comparison

NO_ROOM = Fault("strategy.example", "no room")
NO_MODEL = Fault("model.unreadable", "cannot read it")
SETTLED = {"precision": "fp32", "pooling": "mean", "device": "cpu", "memory_bytes": 5}


def variant(strategy: str, label: str | None = None, by_name: bool = True) -> Variant:
    model = label or "m"
    config = run_config_from({"model": f"org/{model}", "data": "d.jsonl", "strategy": "lora"})
    name = strategy if label is None else f"{strategy} · {label}"
    return Variant(name, config, by_name, model_label=label)


# --- Which variants can start -------------------------------------------------------


def test_what_was_named_must_work_and_what_all_means_need_not() -> None:
    _require_possible([variant("full"), variant("lora", by_name=False)], {"lora": [NO_ROOM]})
    with refused("strategy.example"):
        _require_possible([variant("full"), variant("lora")], {"lora": [NO_ROOM]})
    with refused("strategy.example"):
        _require_possible([variant("lora", by_name=False)], {"lora": [NO_ROOM]})


def test_of_several_models_a_strategy_must_work_on_one() -> None:
    variants = [variant("lora", "a"), variant("lora", "b"), variant("full", "a")]
    _require_possible(variants, {"lora · b": [NO_ROOM]})
    with refused("strategy.example"):
        _require_possible(variants, {"lora · a": [NO_ROOM], "lora · b": [NO_ROOM]})


def test_a_model_is_missing_where_no_strategy_can_start_for_its_sake() -> None:
    variants = [variant(strategy, label) for label in "ab" for strategy in ("lora", "full")]
    gone: Any = {"lora · b": [NO_MODEL], "full · b": [NO_MODEL]}
    assert _missing_models(variants, gone) == {"b": [NO_MODEL]}
    assert _missing_models(variants, {**gone, "full · b": [NO_ROOM]}) == {}
    assert _missing_models(variants, {"lora · a": [NO_MODEL]}) == {}
    assert _missing_models([variant("lora")], {"lora": [NO_MODEL]}) == {}, "one alone must be had"


def test_the_judge_that_a_pipeline_lacks_is_not_the_model() -> None:
    pipeline: Any = object()
    learning = replace(variant("rlhf", "b"), pipeline=pipeline)
    gone: Any = {"rlhf · b": [NO_MODEL]}
    assert _missing_models([variant("lora", "a"), learning], gone) == {}
    assert _missing_models([variant("lora", "a"), variant("lora", "b"), learning], gone) == {}
    gone["lora · b"] = [NO_MODEL]
    found = _missing_models([variant("lora", "a"), variant("lora", "b"), learning], gone)
    assert list(found) == ["b"]


def test_where_every_model_is_missing_all_reasons_are_told_once() -> None:
    variants = [variant("lora", label) for label in "ab"]
    with refused("model.unreadable"):
        _missing_models(variants, {"lora · a": [NO_MODEL], "lora · b": [NO_MODEL]})


# --- Baselines ----------------------------------------------------------------------


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`answered(variants, …)`: (what is settled, what is missing, the requests), by answers."""

    def ask(variants: list[Variant], **answers: Any) -> tuple[Any, Any, list[Any]]:
        asked: list[Any] = []

        def settle(request: Any, requester: Any) -> Any:
            asked.append(request)
            answer = answers[request["config"]["model"]["name"].removeprefix("org/")]
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(requests, "_settled_by", settle)
        requester: Any = None
        found = request_baselines(Comparison(tmp_path), variants, None, requester)
        return *found, asked

    return ask


def test_one_model_is_asked_for_all_baselines(answered: Any) -> None:
    settled, missing, asked = answered([variant("lora"), variant("full")], m=SETTLED)
    assert settled == SETTLED and missing == {} and len(asked) == 1
    assert asked[0]["model_label"] is None and not asked[0]["of_model_alone"]


def test_of_several_models_only_the_first_is_asked_for_those_that_read_none(answered: Any) -> None:
    variants = [variant(strategy, label) for strategy in ("lora", "full") for label in "ab"]
    other = {"precision": "bf16", "pooling": "last", "device": "cpu", "memory_bytes": 9}
    settled, missing, asked = answered(variants, a=SETTLED, b=other)
    assert [one["model_label"] for one in asked] == ["a", "b"]
    assert [one["of_model_alone"] for one in asked] == [False, True]
    assert missing == {} and settled["memory_bytes"] == 9, "there is room for either"
    assert (settled["precision"], settled["pooling"]) == ("fp32", "mean")
    assert settled["models"] == {
        "org/a": {"precision": "fp32", "pooling": "mean"},
        "org/b": {"precision": "bf16", "pooling": "last"},
    }


def test_a_model_that_does_not_load_is_left_out_and_the_next_is_asked_for_all(
    answered: Any,
) -> None:
    failure = RunFailed(NO_MODEL)
    variants = [variant("lora", label) for label in "ab"]
    settled, missing, asked = answered(variants, a=failure, b=SETTLED)
    assert missing == {"a": (NO_MODEL,)} and "models" not in settled
    assert not asked[1]["of_model_alone"]


def test_where_none_loads_it_is_told(answered: Any) -> None:
    failure = RunFailed(NO_MODEL)
    with refused("model.unreadable", error=RunFailed):
        answered([variant("lora")], m=failure)
    with refused("model.unreadable", error=RunFailed):
        answered([variant("lora", label) for label in "ab"], a=failure, b=failure)


def test_baselines_of_models_that_are_gone_are_cleared(answered: Any, tmp_path: Path) -> None:
    (tmp_path / "baselines" / "untouched-a").mkdir(parents=True)
    answered([variant("lora")], m=SETTLED)
    assert not (tmp_path / "baselines").exists()
