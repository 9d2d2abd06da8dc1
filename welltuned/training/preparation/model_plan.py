"""The model of a run before it is loaded: config, tokenizer, head and anatomy, but no weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from welltuned.errors import Faults, InputError
from welltuned.models import loading, vocabulary
from welltuned.tasks import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from welltuned.config import RunConfig
    from welltuned.models.anatomy import Anatomy
    from welltuned.models.config import ModelConfig
    from welltuned.models.loading import Head

T = TypeVar("T")


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model's own config and tokenizer."""

    model: ModelConfig
    own: PreTrainedConfig
    """The config as it was found, with the head that the model may come with."""
    tokenizer: PreTrainedTokenizerBase
    new_rows: int = 0
    """Embeddings that are added for tokens which the model has none for."""

    @property
    def trunk(self) -> PreTrainedConfig:
        """The config of its family; a head with a choice of pooling puts its own around it."""
        return self.own.get_text_config() if pooling_of(self.own) else self.own


@dataclass(frozen=True)
class OwnPooling:
    """How a base was trained to pool, and how that is known, in words."""

    pooling: str
    reason: str
    tuned: bool = False
    """Whether it is that of a head which was tuned with it."""


@dataclass(frozen=True)
class ModelPlan:
    """A pretrained model with the head that a problem needs."""

    pretrained: Pretrained
    head: Head
    anatomy: Anatomy
    own_pooling: OwnPooling | None
    """The pooling that the base was trained with, where that is known."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.pretrained.tokenizer

    @property
    def pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        assert pad is not None, "read_tokenizer sees to it"
        return int(pad)

    @property
    def has_lm_head(self) -> bool:
        """Whether it goes on from any text, by the language-model head that it was pretrained with;
        a decoder that reads an encoder's states answers, and does not go on."""
        return not self.head.new and self.anatomy.encoder is None

    @property
    def speaks(self) -> bool:
        """Whether that head says what follows, so that conversations can be read."""
        return self.has_lm_head and not self.head.masked

    @property
    def builds_output_layer(self) -> bool:
        """Whether it has none of its own for hidden tokens, so that one is built."""
        return self.head.masked and lacks_output_layer(self.pretrained.own)

    def with_pooling(self, problem: Problem, pooling: str) -> ModelPlan:
        """The same with a head that reads something else."""
        return _plan(self.pretrained, problem, pooling, self.own_pooling)


def read_pretrained(model: ModelConfig, faults: Faults) -> Pretrained | None:
    """None when there were faults; they are recorded."""
    own = collecting(lambda: loading.read_model_config(model), faults)
    # Where there is no model, a second fault would only say so again.
    tokenizer = collecting(lambda: loading.read_tokenizer(model), faults) if own else None
    if own is None or tokenizer is None:
        return None
    before = vocabulary.rows_of(own)
    if not model.resize_embeddings:
        collecting(lambda: vocabulary.check_vocabulary(model.name, own, tokenizer), faults)
    else:
        own.get_text_config().vocab_size = vocabulary.rows_needed(own, tokenizer)
    pretrained = Pretrained(model, own, tokenizer, vocabulary.rows_of(own) - before)
    own.pad_token_id = pretrained.trunk.pad_token_id = tokenizer.pad_token_id
    return pretrained


def plan_model(
    config: RunConfig, pretrained: Pretrained, problem: Problem, faults: Faults
) -> ModelPlan | None:
    """The model that a problem needs. None when there were faults; they are recorded.

    The pooling is as configured or as the model was trained; `mean` stands in while a probe has
    yet to choose.
    """
    pooling, own = config.task.pooling, None
    if pooling == "auto":
        own = _find_pooling(pretrained, problem)
        pooling = own.pooling if own else "mean"
    return collecting(lambda: _plan(pretrained, problem, pooling, own), faults)


def _plan(
    pretrained: Pretrained, problem: Problem, pooling: str, own: OwnPooling | None
) -> ModelPlan:
    """Raises `InputError` where the problem cannot have its head."""
    head = problem.objective.head(pretrained.trunk, pooling)
    skeleton = loading.build_skeleton(head)
    found = _examined(head, skeleton)
    if head.new:
        from welltuned.models.head_match import match_head

        head = replace(head, match=match_head(pretrained.own, skeleton, found))
    return ModelPlan(pretrained, head, found, own)


_EXAMINED: dict[tuple[object, ...], Anatomy] = {}


def _examined(head: Head, skeleton: PreTrainedModel) -> Anatomy:
    """The anatomy; runs of one process that have the same head on the same model share it."""
    from welltuned.models.anatomy import examine_anatomy

    key = type(skeleton), skeleton.config.to_json_string(use_diff=False), head.new
    if key not in _EXAMINED:
        _EXAMINED[key] = examine_anatomy(skeleton, head.new)
    return _EXAMINED[key]


def _find_pooling(pretrained: Pretrained, problem: Problem) -> OwnPooling | None:
    """How the base was trained to pool: by its config, by its head, or by a file of its own."""
    from welltuned.models.anatomy import is_encoder_decoder

    if pooling := pooling_of(pretrained.own):
        return OwnPooling(pooling, "as the base was tuned", tuned=True)
    built_in = collecting(lambda: _plan(pretrained, problem, "model", None), Faults())
    if built_in and built_in.head.match and built_in.head.match.outcome != "new":
        return OwnPooling("model", "the base's own head, which is kept", tuned=True)
    if is_encoder_decoder(pretrained.trunk):
        return OwnPooling("model", "an encoder-decoder has the head of its family alone")
    if pooling := loading.own_pooling(pretrained.model):
        return OwnPooling(pooling, "the model's own pooling file")
    return None


def lacks_output_layer(config: PreTrainedConfig) -> bool:
    """Whether an encoder was saved without what foretells hidden tokens, as its config says."""
    known = config.architectures or ["ForMaskedLM"]
    return not any(name.endswith(("ForMaskedLM", "ForPreTraining")) for name in known)


def pooling_of(config: PreTrainedConfig) -> str | None:
    """The pooling that a config of our own head names."""
    return getattr(config, "pooling", None) if hasattr(config, "trunk") else None


def collecting(make: Callable[[], T], faults: Faults) -> T | None:
    """What `make` gives; None where it raises `InputError`, whose faults are recorded."""
    try:
        return make()
    except InputError as error:
        faults.extend(error.faults)
        return None
