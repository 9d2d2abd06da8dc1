"""Masked language modelling from a file of texts to an artifact, by both engines alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import welltuned as wt
from support import fit, job_for, tune
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.events import Listener, Step
from welltuned.engines.feed import micro_batches_of
from welltuned.engines.step_plan import StepPlan
from welltuned.runs import Run
from welltuned.training import train

TASK = "masked_language_modelling"


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny random RoBERTa with its output layer."""
    from transformers import AutoModelForMaskedLM

    from support import make_config, make_tokenizer

    folder = tmp_path_factory.mktemp("masked-roberta")
    torch.manual_seed(0)
    config = make_config("roberta", num_hidden_layers=2)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    make_tokenizer("encoder", "roberta").save_pretrained(folder)
    return str(folder)


class Losses(Listener):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def stepped(self, step: Step) -> None:
        self.losses.append(step.loss)


def losses_of(engine: Any, model: str, data: str) -> list[float]:
    heard = Losses()
    training = {"num_train_epochs": 2, "logging_steps": 1, "per_device_train_batch_size": 16}
    fit(engine, job_for(model, data, "full", heard, task=TASK, training=training))
    return heard.losses


def test_both_engines_draw_the_same_masks(masked: str, few: str) -> None:
    ours, theirs = (losses_of(engine, masked, few) for engine in (torch_loop, hf_trainer))
    assert ours == theirs
    assert len(ours) == 6


def test_a_step_is_fed_the_masks_of_its_epoch(masked: str, few: str) -> None:
    job = job_for(masked, few, "full", task=TASK, training={"num_train_epochs": 2})
    last = list(StepPlan.of(job.batches, job.training))[-1]
    fed, rows = micro_batches_of(job, last)[0], last.micro_batches[0].tolist()
    first, second = (
        job.problem.codec.collate(job.examples.in_epoch(0, epoch), rows, job.pad_id)
        for epoch in (0, 1)
    )
    assert last.epoch == 1
    assert fed["labels"].tolist() == second["labels"].tolist() != first["labels"].tolist()


@pytest.fixture(scope="module")
def read(masked: str, few: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run. To be read, not changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write_run_report", lambda run: None)
        return tune(
            masked, few, "full", tmp_path_factory.mktemp("read") / "run",
            task=TASK, evaluation={"retention": "auto"},
        )  # fmt: skip


def test_scores_are_of_hidden_tokens(read: Run) -> None:
    test = read.results["test"]
    assert test["perplexity"] == pytest.approx(np.exp(test["loss"]))
    assert test["loss"] < read.results["baselines"]["untrained"]["loss"]


def test_forgetting_is_the_loss_of_hidden_tokens_of_general_text(read: Run) -> None:
    retention = read.results["retention"]
    measured = {name for name in retention if name.startswith(("loss_", "kl_"))}
    assert measured == {"loss_general_en"}, "and no divergence, which is of next tokens"
    assert retention["loss_general_en"]["before"] > 0


def test_the_artifact_says_how_likely_a_texts_words_are(read: Run) -> None:
    (told,) = wt.load(read, device="cpu").predict(["the film was good"])
    assert set(told) == {"id", "loss", "tokens"}
    assert told["tokens"] == 1


def test_it_loads_as_a_masked_language_model(read: Run) -> None:
    from transformers import AutoModelForMaskedLM

    _, report = AutoModelForMaskedLM.from_pretrained(read.model, output_loading_info=True)
    assert not report["missing_keys"]


@pytest.mark.slow
def test_an_adapter_reads_too(masked: str, few: str, tmp_path: Path) -> None:
    strategy = {"type": "lora", "r": 4}
    assert tune(masked, few, strategy, tmp_path / "run", task=TASK).is_finished


@pytest.mark.parametrize("family", ["distilbert", "electra", "deberta-v2", "modernbert"])
@pytest.mark.slow
def test_every_family_of_encoders_can_be_read_with(
    tiny: Callable[..., str], few: str, tmp_path: Path, family: str
) -> None:
    run = tune(tiny(family), few, "full", tmp_path / "run", task=TASK)
    assert run.is_finished
