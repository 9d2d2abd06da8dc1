"""Families of two stacks that a task refuses, each with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from support import make_config
from welltuned.tasks.families import require_head_for_labels, require_one_stack, require_seq2seq
from welltuned.tasks.token_classification.problem import TokenObjective


def config_of(family: str) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(family)


def test_a_task_of_one_text_refuses_an_encoder_decoder() -> None:
    with refused("task.encoder_decoder_unsupported", family="t5", why="so it is"):
        require_one_stack(make_config("t5"), "so it is")
    require_one_stack(make_config("bert"), "so it is")


def test_tags_are_not_for_an_encoder_decoder() -> None:
    with refused("task.encoder_decoder_unsupported", family="t5"):
        TokenObjective(("O", "B-X")).head(make_config("t5"), "model")


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_an_encoder_decoder_has_the_head_of_its_family_alone(pooling: str) -> None:
    with refused("task.pooling_of_two_stacks", pooling=pooling):
        require_head_for_labels(make_config("bart"), pooling)
    require_head_for_labels(make_config("bart"), "model")
    require_head_for_labels(make_config("bert"), pooling)


def test_a_family_without_a_head_for_labels_is_refused() -> None:
    with refused("task.sequence_classification_unsupported", family="pegasus"):
        require_head_for_labels(config_of("pegasus"), "model")


def test_a_family_whose_decoder_nobody_knows_how_to_feed_is_refused() -> None:
    for family in ("t5", "mt5", "bart", "mbart", "pegasus", "marian"):
        require_seq2seq(config_of(family))
    with refused("task.seq2seq_unsupported", family="bert"):
        require_seq2seq(make_config("bert"))
