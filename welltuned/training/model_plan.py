"""The model of a run before it is loaded: config, tokenizer, head and anatomy, but no weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from welltuned.errors import Faults, InputError
from welltuned.models import loading
from welltuned.tasks import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.config import RunConfig
    from welltuned.models.anatomy import Anatomy
    from welltuned.models.loading import Head, ModelConfig

T = TypeVar("T")


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model's own config and tokenizer."""

    base: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelPlan:
    """A pretrained model with the head that a problem needs."""

    base: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    head: Head
    anatomy: Anatomy

    @property
    def pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        assert pad is not None, "read_tokenizer sees to it"
        return int(pad)

    @property
    def has_lm_head(self) -> bool:
        """Whether it keeps the language-model head that it was pretrained with."""
        return not self.head.new

    def with_pooling(self, problem: Problem, pooling: str) -> ModelPlan:
        """The same with a head that reads something else."""
        head = problem.objective.head(self.base, pooling)
        return ModelPlan(self.base, self.tokenizer, head, _anatomy_of(head))


def read_pretrained(model: ModelConfig, faults: Faults) -> Pretrained | None:
    """None when there were faults; they are recorded."""
    base = collecting(lambda: loading.read_model_config(model), faults)
    # Where there is no model, a second fault would only say so again.
    tokenizer = collecting(lambda: loading.read_tokenizer(model), faults) if base else None
    if base is None or tokenizer is None:
        return None
    base.pad_token_id = tokenizer.pad_token_id
    return Pretrained(base, tokenizer)


def plan_model(
    config: RunConfig, pretrained: Pretrained, problem: Problem, faults: Faults
) -> ModelPlan | None:
    """The model that a problem needs. None when there were faults; they are recorded.

    The pooling is as configured or as the model was trained; `mean` stands in while a probe has
    yet to choose.
    """
    pooling = config.task.pooling
    if pooling == "auto":
        pooling = loading.own_pooling(config.model) or "mean"
    head = collecting(lambda: problem.objective.head(pretrained.base, pooling), faults)
    anatomy = collecting(lambda: _anatomy_of(head), faults) if head is not None else None
    if head is None or anatomy is None:
        return None
    return ModelPlan(pretrained.base, pretrained.tokenizer, head, anatomy)


def _anatomy_of(head: Head) -> Anatomy:
    from welltuned.models import anatomy

    return anatomy.examine_anatomy(loading.build_skeleton(head), head.new)


def collecting(make: Callable[[], T], faults: Faults) -> T | None:
    """What `make` gives; None where it raises `InputError`, whose faults are recorded."""
    try:
        return make()
    except InputError as error:
        faults.extend(error.faults)
        return None
