"""The run that reads texts: hidden words for an encoder, the next ones for a decoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from faults import refused
from welltuned.config import RunConfig
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.reading_run import reading_run

Asking = Callable[..., AdaptConfig]


def run_of(config: AdaptConfig) -> RunConfig:
    return reading_run(config, config.model, Path("texts.jsonl"), Path("run"))


def test_an_encoder_foretells_hidden_words(asking: Asking) -> None:
    config = asking(adaptation={"mlm_probability": 0.3, "training": {}})
    run = run_of(config)
    assert run.task.type == "masked_language_modelling"
    assert run.task.mlm_probability == 0.3  # type: ignore[attr-defined]
    assert (run.training.learning_rate, run.training.warmup_ratio) == (1e-4, 0.06)
    assert run.training.device == "cpu", "that of the run itself"
    assert not run.evaluation.test


def test_what_is_set_is_kept(asking: Asking) -> None:
    run = run_of(asking(adaptation={"training": {"learning_rate": 5e-4, "device": "cpu"}}))
    assert run.training.learning_rate == 5e-4


def test_a_decoder_foretells_the_next_words(asking: Asking, causal: Callable[..., str]) -> None:
    run = run_of(asking(model=causal("llama"), adaptation={"training": {}}))
    assert run.task.type == "generation"
    assert run.training.learning_rate == "auto"


def test_a_decoder_gets_no_new_tokens(asking: Asking, causal: Callable[..., str]) -> None:
    with refused("adapt.new_tokens_of_decoder"):
        run_of(asking(model=causal("llama"), adaptation={"new_tokens": 5}))
