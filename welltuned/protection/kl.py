"""KL regularisation towards the base model's predictions on other texts.

The penalty of self-distillation (Li & Hoiem 2016, arXiv 1606.09282, "learning without forgetting"),
on texts that need no answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from welltuned.errors import Fault, InputError
from welltuned.protection.base import CheckContext, Guard, GuardContext, Protection

if TYPE_CHECKING:
    from welltuned.evaluation.eval_model import EvalModel
    from welltuned.evaluation.kl_reference import KLReference

_MOST_TEXTS = 500
"""Of larger replay files so many are drawn: hidden states of all are kept."""


class KL(Protection):
    """KL penalty towards the base model's predictions, on general text or `data.replay`."""

    type: Literal["kl"] = "kl"
    weight: float = Field(default=1.0, gt=0)
    """The weight of the mean KL divergence per token, in nats; the task's loss has 1."""
    on: Literal["general", "replay"] = "general"
    """The texts to compute it on."""
    texts: int = Field(default=8, ge=1)
    """Batch size: texts per penalty."""
    every: int = Field(default=1, ge=1)
    """Apply it every so many optimizer steps: proportionally less time, and less pull."""

    @property
    def uses_replay(self) -> bool:
        return self.on == "replay"

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        if setting.anatomy.encoder is not None:
            yield self.fault(
                "protection.kl_of_two_stacks",
                "compares predictions along a text, and an encoder-decoder makes them of a "
                "response alone",
                "use l2sp, ewc or wise_ft",
            )
        elif not setting.speaks:
            yield self.fault(
                "protection.kl_without_language_head",
                "compares next-token predictions, but this task puts a new head on the model, "
                "which has none to compare",
                "use l2sp, ewc or wise_ft, or task generation",
            )
        if self.on == "replay" and not setting.has_replay:
            yield self.fault(
                "protection.needs_replay",
                "{mode}needs replay examples",
                "name them in data.replay",
                mode="on replay ",
            )

    def guard(self, scene: GuardContext) -> Guard:
        import numpy as np

        from welltuned.evaluation.kl_reference import KLReference, affordable, has_plain_logits
        from welltuned.evaluation.retention import as_examples

        subject = scene.subject
        if self.on == "general":
            texts = as_examples(subject, scene.general)[1].encoded
        else:
            assert scene.replay is not None
            texts = scene.replay.encoded
        order = np.random.default_rng(scene.seed).permutation(len(texts)).tolist()
        texts = texts.take(affordable(texts.lengths, order, _MOST_TEXTS))
        if not has_plain_logits(subject.model, texts):
            raise InputError(
                self.fault(
                    "protection.kl_logits_changed",
                    "does not support '{family}': its logits are not those of its output layer "
                    "alone",
                    "use l2sp or ewc",
                    family=subject.anatomy.family,
                )
            )
        with scene.strategy.base_model(scene.model):
            reference = KLReference.of(
                scene.model,
                texts,
                subject.pad_id,
                subject.batch_size,
                scene.training,
                subject.precision,
            )
        return Nearness(self, subject, reference)


class Nearness(Guard):
    """The divergence on a few texts, which come round in turn."""

    def __init__(self, config: KL, subject: EvalModel, reference: KLReference) -> None:
        self._config = config
        self._subject = subject
        self._reference = reference

    def penalise(self, step: int) -> float:
        import torch

        from welltuned.models.freezing import in_eval_mode

        config, model = self._config, self._subject.model
        turn, left = divmod(step - 1, config.every)
        if left:
            return 0.0
        number = len(self._reference.texts)
        size = min(config.texts, number)
        chosen = [(turn * size + i) % number for i in range(size)]
        with in_eval_mode(model), torch.enable_grad():
            nats_M, _ = self._reference.divergences(model, chosen, size, self._subject.precision)
            value = config.weight * nats_M.mean()
            if value.requires_grad:
                value.backward()
        return float(value.detach())
