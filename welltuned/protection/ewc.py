"""EWC: elastic weight consolidation (Kirkpatrick et al. 2017, arXiv 1612.00796).

    lambda / 2 · sum of F · (w - w0)²      its gradient: lambda · F · (w - w0)

F is the diagonal of the Fisher information at the start: the mean, over texts, of the squared
gradient of one text's log-likelihood. A language model has a likelihood of general text. A model
with a new head has none; there F is that of a normal distribution of unit variance around the
trunk's representation of a text, whose gradient is that of a random projection of it: weights count
by how much they move the representation.

F is scaled to a mean of 1 over all weights, so that lambda compares with `alpha` of L2-SP,
which has 1 everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from welltuned.data.tokens.encoding import pad
from welltuned.errors import Fault
from welltuned.protection.base import CheckContext, Guard, GuardContext, Protection
from welltuned.protection.l2sp import Pull

if TYPE_CHECKING:
    import torch
    from torch import nn

    from welltuned.evaluation.eval_model import EvalModel
    from welltuned.tasks import Examples, Problem

Loss = Callable[[int], "torch.Tensor"]
"""The negative log-likelihood of one text, by its index."""


class EWC(Protection):
    """EWC: an L2 penalty towards the starting weights, weighted by Fisher information."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    type: Literal["ewc"] = "ewc"
    lambda_: float = Field(default=0.1, gt=0, alias="lambda")
    """The strength of the penalty."""
    on: Literal["general", "train", "replay"] = "general"
    """The texts to estimate the Fisher information on: general ones, the task's own, or
    `data.replay`."""
    texts: int = Field(default=100, ge=1)
    """The number of those texts."""

    @property
    def uses_replay(self) -> bool:
        return self.on == "replay"

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        yield from self.needs_change(setting, "weights")
        if self.on == "replay" and not setting.has_replay:
            yield self.fault(
                "protection.needs_replay",
                "{mode}needs replay examples",
                "name them in data.replay",
                mode="on replay ",
            )

    def guard(self, scene: GuardContext) -> Guard:
        import torch

        weights = list(scene.pretrained().values())
        loss, number = self._likelihood(scene)
        chosen = torch.randperm(number, generator=torch.Generator().manual_seed(scene.seed))
        some = chosen[: self.texts].tolist()
        information = fisher(scene.model, weights, loss, some)
        mean = sum(float(f.sum()) for f in information) / sum(f.numel() for f in information)
        guard = Pull(weights, self.lambda_, [f / (mean or 1.0) for f in information])
        guard.note = (
            f"ewc: Fisher information of {sum(w.numel() for w in weights):,} weights from "
            f"{len(some)} texts; its mean of {mean:.3g} is scaled to 1"
        )
        return guard

    def _likelihood(self, scene: GuardContext) -> tuple[Loss, int]:
        if self.on == "general":
            return _general(scene)
        examples = scene.examples if self.on == "train" else scene.replay
        assert examples is not None
        return _own_loss(scene.subject, scene.problem, examples), len(examples)


def fisher(
    model: nn.Module, weights: Sequence[nn.Parameter], loss: Loss, chosen: Sequence[int]
) -> list[torch.Tensor]:
    """The mean over the chosen texts of each weight's squared gradient, text by text.

    Gradients and what trains are left as they were.
    """
    import torch

    from welltuned.models.freezing import in_eval_mode

    sums = [torch.zeros_like(weight) for weight in weights]
    training = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    with in_eval_mode(model), torch.enable_grad():
        for text in chosen:
            found = torch.autograd.grad(loss(text), weights, allow_unused=True)
            for total, gradient in zip(sums, found, strict=True):
                if gradient is not None:
                    total.addcmul_(gradient, gradient)
    for weight, trains in zip(weights, training, strict=True):
        weight.requires_grad_(trains)
    return [total / len(chosen) for total in sums]


def _general(scene: GuardContext) -> tuple[Loss, int]:
    from welltuned.evaluation.retention import as_examples

    if scene.subject.has_lm_head:
        problem, examples = as_examples(scene.subject, scene.general)
        return _own_loss(scene.subject, problem, examples), len(examples)
    return _projection(scene.subject, scene.general.texts, scene.seed), len(scene.general.texts)


def _own_loss(subject: EvalModel, problem: Problem, examples: Examples) -> Loss:
    from welltuned.evaluation.predict import to_device

    device = next(subject.model.parameters()).device

    def loss(text: int) -> torch.Tensor:
        batch = to_device(problem.codec.collate(examples, [text], subject.pad_id), device)
        with subject.precision():
            return problem.objective.loss(subject.model, batch)

    return loss


def _projection(subject: EvalModel, texts: Sequence[str], seed: int) -> Loss:
    """e · h, with the representation h of a text and a normal e of its own.

    Its squared gradient is in the mean that of the Fisher information of N(h, 1).
    """
    import torch

    from welltuned.evaluation.features import states
    from welltuned.models.modeling_pooled import pool

    encoded = subject.encode(texts)
    device = next(subject.model.parameters()).device

    def loss(text: int) -> torch.Tensor:
        batch = {
            name: torch.from_numpy(array).to(device)
            for name, array in pad(encoded, [text], subject.pad_id).items()
        }
        generator = torch.Generator().manual_seed(seed * 1_000_003 + text)
        direction_H = torch.randn(subject.anatomy.hidden_size, generator=generator).to(device)
        with subject.precision():
            last_1TH = states(subject.model, subject.anatomy, batch)[-1].float()
            return (pool(last_1TH, batch["attention_mask"], "mean")[0] * direction_H).sum()

    return loss
