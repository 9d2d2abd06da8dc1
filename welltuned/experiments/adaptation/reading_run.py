"""The ordinary run that reads unlabelled texts: what its config is, for an encoder or a decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from welltuned.config import RunConfig
from welltuned.data.config import DataConfig
from welltuned.engines.config import TrainingConfig
from welltuned.errors import Fault, InputError
from welltuned.evaluation.config import EvaluationConfig
from welltuned.experiments.adaptation.config import USUAL, AdaptConfig
from welltuned.models.anatomy import Kind, kind_of
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config
from welltuned.tasks import Task, masked_text_task, text_task


def reading_run(config: AdaptConfig, model: ModelConfig, texts: Path, folder: Path) -> RunConfig:
    """Reading these texts with this model, into this folder.

    A part of the texts is held out for validation; there is no test split.
    """
    kind = kind_of_model(config)
    return RunConfig(
        model=model,
        data=DataConfig(
            train=str(texts),
            columns={"text": "text"},
            folds=2,
            fold="all",  # no test split, for the labelled task has one
            duplicates="drop",
            compare_as=config.data.compare_as,
        ),
        task=_task(config, kind),
        strategy=config.adaptation.strategy,
        training=_training(config, kind),
        protection=config.adaptation.protection,
        evaluation=EvaluationConfig(test=False, retention=config.evaluation.retention),
        engine=config.engine,
        report=config.report,
        output_dir=str(folder),
    )


def kind_of_model(config: AdaptConfig) -> Kind:
    """Whether hidden tokens or next ones are foretold.

    Raises `InputError` for a model that cannot be read, or one that cannot do what is asked.
    """
    kind = kind_of(read_model_config(config.model).get_text_config())
    if kind == "decoder" and config.adaptation.new_tokens:
        raise InputError(
            Fault(
                "adapt.new_tokens_of_decoder",
                "'adaptation.new_tokens' is for encoders: a decoder writes its tokens, and words "
                "that are added would lose the spaces between them",
                None,
                "remove it",
            )
        )
    return kind


def _task(config: AdaptConfig, kind: Kind) -> Task:
    asked = config.adaptation
    if kind == "decoder":
        return text_task(asked.max_length)
    return masked_text_task(asked.mlm_probability, asked.whole_word_mask, asked.max_length)


def _training(config: AdaptConfig, kind: Kind) -> TrainingConfig:
    """With what is usual in place of `auto`, for an encoder; it reports as the run itself does."""
    own = config.adaptation.training
    # Masks are drawn anew in each epoch, so no state of a frozen block is met again.
    masks = {**USUAL, "cache_frozen_blocks": False}
    usual: dict[str, Any] = masks if kind == "encoder" else {}
    chosen = {name: value for name, value in usual.items() if getattr(own, name) == "auto"}
    device = config.training.device if own.device == "auto" else own.device
    reports = own.report_to or config.training.report_to
    return own.model_copy(update={**chosen, "device": device, "report_to": reports})
