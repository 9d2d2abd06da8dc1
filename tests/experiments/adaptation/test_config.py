"""What may be asked of a run whose model reads texts first."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from welltuned.config import RunConfig, run_config_from
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.read_config import adapt_config_from


def ask(**parts: Any) -> Any:
    data = {"train": "labelled.csv", "unlabelled": "texts.jsonl"}
    return adapt_config_from({"pipeline": "adapt", "model": "here", "data": data, **parts})


def test_it_has_the_keys_of_a_run_and_its_own() -> None:
    config = ask(adaptation={"strategy": "partial", "new_tokens": 10})
    assert isinstance(config, AdaptConfig)
    assert issubclass(AdaptConfig, RunConfig)
    assert config.adaptation.strategy.type == "partial"
    assert config.data.unlabelled is not None
    assert config.data.unlabelled.data == "texts.jsonl"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"adaptation": {"strategy": "lora"}}, "adapt.strategy_of_adapters"),
        ({"data": {"train": "labelled.csv", "folds": 3}}, "adapt.folds_unsupported"),
        (
            {"data": "labelled.csv", "adaptation": {"training_texts": False}},
            "adapt.nothing_to_read",
        ),
    ],
)
def test_what_cannot_work_is_refused(parts: dict[str, Any], code: str) -> None:
    with refused(code):
        ask(**parts)


def test_no_other_run_reads_unlabelled_texts() -> None:
    with refused("run.unlabelled_unread"):
        run_config_from({"model": "here", "data": {"train": "a.csv", "unlabelled": "b.csv"}})
