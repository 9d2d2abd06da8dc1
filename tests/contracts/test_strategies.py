"""Every strategy on every family: what must hold whatever the pair.

A new strategy or family is covered by adding its name to the lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faults import refused
from plain import ask
from support import (
    FAMILIES,
    STRATEGIES,
    build,
    each_pair,
    encode,
    is_quick,
    logits,
    make_rows,
    short_tune,
    tune,
)
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.run_export import export_run
from welltuned.models import loading
from welltuned.models.anatomy import position_offset

REFUSED = {("prefix", "deberta-v2"), ("projected", "deberta-v2")}
WHOLE = ("full", "partial", "head", "gradual")
PLAIN = (*WHOLE, "lora")
"""What transformers and PEFT load by themselves when the head is the family's own."""
IDENTITY = ("lora", "houlsby", "pfeiffer", "parallel")

TEXTS = [row["text"] for row in make_rows(12, seed=9)]


def pairs(*chosen: str) -> pytest.MarkDecorator:
    return each_pair(pairs_of(chosen or tuple(STRATEGIES)))


def pairs_of(names: Iterable[str]) -> list[tuple[str, str]]:
    every = [(strategy, family) for family in FAMILIES for strategy in names]
    return [pair for pair in every if pair not in REFUSED]


of_pairs = pytest.mark.parametrize(
    "quick",
    [pytest.param(True, id="quick"), pytest.param(False, id="slow", marks=pytest.mark.slow)],
)


def pooling_of(strategy: str) -> str:
    return "model" if strategy in PLAIN else "mean"


@pytest.fixture(scope="module")
def tuned(tiny: Any, few: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`tuned(strategy, family)`: a short run, made once and shared by the tests below."""

    @cache
    def make(strategy: str, family: str) -> Any:
        folder = tmp_path_factory.mktemp(f"{strategy}-{family}") / "run"
        return short_tune(
            tiny(family), few, STRATEGIES[strategy], folder, task={"pooling": pooling_of(strategy)}
        )

    return make


@pytest.fixture(scope="module")
def loaded(tuned: Any) -> Any:
    """`loaded(strategy, family)`: the artifact of the shared run, loaded once."""
    return cache(lambda strategy, family: load_artifact(tuned(strategy, family).model))


def answers(artifact: Any, texts: list[str] = TEXTS) -> torch.Tensor:
    artifact.tokenizer.padding_side = "right"
    return logits(
        artifact.model, dict(artifact.tokenizer(texts, padding=True, return_tensors="pt"))
    )


@pairs()
def test_a_run_proves_what_it_promises(strategy: str, family: str, tuned: Any) -> None:
    """Frozen bits are unchanged, trainable ones moved, and the saved model answers as trained."""
    run = tuned(strategy, family)
    proof = run.results["proof"]
    assert run.state == "finished"
    assert proof["frozen_moved"] == 0
    assert proof["trainable_moved"] == proof["trainable_weights"] > 0
    assert (proof["frozen_weights"] == 0) == (strategy == "full")
    assert proof["all_finite"]
    assert proof["reloaded_difference"] <= 1e-5


@pairs()
def test_the_saved_head_is_the_trained_one(
    strategy: str, family: str, tuned: Any, loaded: Any, heads: Any
) -> None:
    """(L6) No weight of the head that was loaded is the one that training started from."""
    end = dict(loaded(strategy, family).model.named_parameters())
    plain = {
        re.sub(r"^base_model\.model\.|modules_to_save\.default\.", "", name): value
        for name, value in end.items()
    }
    start = heads(family, pooling_of(strategy))
    assert start
    for name, value in start.items():
        assert plain[name].shape == value.shape
        assert not torch.equal(plain[name], value), name


@pytest.fixture(scope="module")
def heads(tiny: Any) -> Any:
    """`heads(family, pooling)`: the head's weights as the shared runs started with them."""

    @cache
    def make(family: str, pooling: str) -> dict[str, torch.Tensor]:
        model, anatomy, _ = build(tiny(family), {"type": "full"}, pooling)
        return {name: value for name, value in model.named_parameters() if anatomy.depth(name) == 0}

    return make


@of_pairs
def test_plain_libraries_answer_the_same_in_a_process_without_welltuned(
    quick: bool, tuned: Any, loaded: Any, tmp_path: Path
) -> None:
    """Whole weights by transformers, LoRA by PEFT; and as the trained model did in its run."""
    asked = [pair for pair in pairs_of(PLAIN) if is_quick(*pair) == quick]
    compare_with_another_process(asked, tuned, loaded, tmp_path, import_welltuned=False)


@of_pairs
def test_peft_answers_the_same_in_a_process_that_imports_welltuned(
    quick: bool, tuned: Any, loaded: Any, tmp_path: Path
) -> None:
    names = [name for name in STRATEGIES if name not in PLAIN]
    asked = [pair for pair in pairs_of(names) if is_quick(*pair) == quick]
    compare_with_another_process(asked, tuned, loaded, tmp_path, import_welltuned=True)


def compare_with_another_process(
    asked: list[tuple[str, str]], tuned: Any, loaded: Any, folder: Path, import_welltuned: bool
) -> None:
    tested = {pair: list(tuned(*pair).read_lines("predictions.jsonl")) for pair in asked}
    jobs = {
        "-".join(pair): {
            "folder": str(tuned(*pair).model),
            "texts": [*TEXTS, *(row["text"] for row in tested[pair])],
            "trust": False,
        }
        for pair in asked
    }
    found = ask(jobs, folder / "process", import_welltuned)
    for pair in asked:
        other = torch.tensor(found["-".join(pair)])
        torch.testing.assert_close(
            other[: len(TEXTS)], answers(loaded(*pair)), atol=2e-5, rtol=1e-5, msg=str(pair)
        )
        told = torch.tensor([list(row["probabilities"].values()) for row in tested[pair]])
        torch.testing.assert_close(
            other[len(TEXTS) :].softmax(-1), told, atol=1e-5, rtol=0, msg=str(pair)
        )


@pairs()
def test_every_trainable_weight_gets_a_gradient(strategy: str, family: str, tiny: Any) -> None:
    """(F3) And nothing else does."""
    model, _, _ = build(tiny(family), STRATEGIES[strategy])
    model(**encode(tiny(family), TEXTS)).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pairs("full", "lora", "prompt", "prefix")
def test_replicas_answer_alike_in_threads_of_their_own(
    strategy: str, family: str, tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share the weights and no module: what a pass leaves in one is not seen by the other."""
    monkeypatch.setattr("welltuned.artifact.replicas._number_that_helps", lambda artifact: 2)
    monkeypatch.setattr("welltuned.artifact.predictor._MUCH", 0)
    texts, threads = [" ".join(TEXTS[: 1 + i % 5]) for i in range(40)], torch.get_num_threads()
    one = Predictor.load(tuned(strategy, family), merge=False)
    (other,) = one.replicas
    assert not set(one.model.modules()) & set(other.model.modules())
    held = {weight.data_ptr() for weight in one.model.parameters()}
    assert {weight.data_ptr() for weight in other.model.parameters()} == held
    beside = one.predict(texts, batch_size=2)
    one.replicas.clear()
    alone = one.predict(texts, batch_size=2)
    for left, right in zip(beside, alone, strict=True):
        assert left["id"] == right["id"]
        assert left["probabilities"] == pytest.approx(right["probabilities"], abs=1e-6)
    assert torch.get_num_threads() == threads, "other tests compute as before"


@pairs()
def test_padding_changes_no_answer(strategy: str, family: str, loaded: Any) -> None:
    """(S5) The logits of a text alone are those of the text in a padded batch."""
    artifact = loaded(strategy, family)
    alone = torch.cat([answers(artifact, [text]) for text in TEXTS[:5]])
    torch.testing.assert_close(alone, answers(artifact)[:5], atol=2e-5, rtol=1e-4)


@pairs("prompt", "prefix", "houlsby")
def test_padding_on_the_left_changes_no_answer(strategy: str, family: str, loaded: Any) -> None:
    """(S5) Given that positions count real tokens; with prompts ours see to that themselves."""
    artifact = loaded(strategy, family)
    artifact.tokenizer.padding_side = "left"
    batch = dict(artifact.tokenizer(TEXTS, padding=True, return_tensors="pt"))
    trunk = artifact.model.base_model.model.base_model
    accepts = "position_ids" in signature(getattr(trunk, "base_layer", trunk).forward).parameters
    if strategy != "prompt" and accepts:
        positions = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
        batch["position_ids"] = positions + position_offset(trunk)
    elif strategy != "prompt" and family != "deberta-v2":
        pytest.skip(f"{family} takes no positions")
    torch.testing.assert_close(
        logits(artifact.model, batch), answers(artifact), atol=2e-5, rtol=1e-4
    )


@pairs(*IDENTITY)
def test_injected_parts_change_nothing_at_first(
    strategy: str, family: str, tiny: Any, untouched: Any
) -> None:
    injected = logits(build(tiny(family), STRATEGIES[strategy])[0], encode(tiny(family), TEXTS))
    assert torch.equal(untouched(family), injected)


@pytest.fixture(scope="module")
def untouched(tiny: Any) -> Any:
    """`untouched(family)`: the logits before anything was injected."""

    @cache
    def make(family: str) -> torch.Tensor:
        return logits(build(tiny(family), {"type": "full"})[0], encode(tiny(family), TEXTS))

    return make


@pairs(*PLAIN)
def test_merged_it_is_a_plain_model_with_the_same_answers(
    strategy: str, family: str, tuned: Any, loaded: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    target = export_run(tuned(strategy, family).folder, "plain", tmp_path / "plain")
    model = AutoModelForSequenceClassification.from_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert type(model).__module__.startswith("transformers.")
    merged = logits(model, dict(tokenizer(TEXTS, padding=True, return_tensors="pt")))
    torch.testing.assert_close(merged, answers(loaded(strategy, family)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("strategy", ["prompt", "prefix", "houlsby"])
def test_what_cannot_be_merged_is_refused_with_the_reason(
    strategy: str, tuned: Any, tmp_path: Path
) -> None:
    with refused("strategy.cannot_merge"):
        export_run(tuned(strategy, "bert").folder, "plain", tmp_path / "plain")
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize(("strategy", "family"), sorted(REFUSED))
def test_a_pair_that_cannot_work_is_refused_before_weights_load(
    strategy: str,
    family: str,
    tiny: Any,
    sentiment: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        loading, "load_model", lambda *args, **kwargs: pytest.fail("weights were loaded")
    )
    with refused("strategy.attention_unsupported"):
        tune(tiny(family), sentiment, STRATEGIES[strategy], tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_run_bit_for_bit(
    strategy: str, tiny: Any, few: str, tmp_path: Path
) -> None:
    few_steps = {"num_train_epochs": "auto", "max_steps": 3}
    runs = [
        short_tune(
            tiny("bert"),
            few,
            STRATEGIES[strategy],
            tmp_path / name,
            training={"seed": seed, **few_steps},
        )
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    first, again, other = (answers(load_artifact(run.model)) for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert losses_of(runs[0]) == losses_of(runs[1]) != losses_of(runs[2])


def losses_of(run: Any) -> list[float]:
    return [row["loss"] for row in run.read_lines("metrics.jsonl") if "loss" in row]


@pytest.fixture(scope="module")
def experienced(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny trunk that has learned something; on a random one, prompts and heads learn little."""
    folder = tmp_path_factory.mktemp("experienced")
    run = short_tune(
        tiny("bert"),
        sentiment,
        STRATEGIES["full"],
        folder / "run",
        training={"num_train_epochs": 6},
    )
    artifact = load_artifact(run.model)
    tuned: Any = artifact.model
    tuned.base_model.save_pretrained(folder / "trunk")
    artifact.tokenizer.save_pretrained(folder / "trunk")
    return str(folder / "trunk")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_the_model_can_learn_is_learned(
    strategy: str, experienced: str, sentiment: str, tmp_path: Path
) -> None:
    rate = 3e-3 if strategy in PLAIN else 1e-2
    training = {"num_train_epochs": 4, "learning_rate": rate}
    run = short_tune(
        experienced, sentiment, STRATEGIES[strategy], tmp_path / "run", training=training
    )
    losses = losses_of(run)
    assert np.mean(losses[:3]) > 0.3
    assert np.mean(losses[-10:]) < 0.2
