"""Protection: its config, its penalty during training, and its step at the end.

A `Protection` is config. It is called, in this order, to `check` the setting before any weight is
loaded, for a `guard` when the model is loaded and no step is taken, and to `finish` when training
is over. A guard is all that engines see: it may freeze weights for a while, and it adds the
gradient of a penalty once per optimizer step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from welltuned.errors import Fault
from welltuned.schema.part import Part
from welltuned.strategies import Progress, Strategy
from welltuned.strategies.base import UpdateKind
from welltuned.tasks import Examples, Problem

if TYPE_CHECKING:
    from torch import nn

    from welltuned.evaluation.eval_model import EvalModel
    from welltuned.models.anatomy import Anatomy


@dataclass(frozen=True)
class CheckContext:
    """What is known of a run before any weight is loaded."""

    strategy: Strategy
    anatomy: Anatomy
    speaks: bool
    """Whether the model is a language model that says what follows, with its own output layer."""
    has_replay: bool
    """Whether `data.replay` names replay examples."""


@dataclass(frozen=True)
class GuardContext:
    """A loaded model that no step has changed, and what a guard may use."""

    subject: EvalModel
    strategy: Strategy
    problem: Problem
    examples: Examples
    """The training examples."""
    replay: Examples | None
    general: Any
    """The embedded general text that forgetting is not measured on (a `TextSet`)."""
    training: frozenset[int]
    """The ids of the weights that train at some time."""
    new: frozenset[str]
    """The names of weights that the checkpoint did not have: they have no start to hold on to."""
    seed: int

    @property
    def model(self) -> nn.Module:
        return self.subject.model

    def pretrained(self) -> dict[str, nn.Parameter]:
        """By name the weights that train and were there before."""
        return {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if id(parameter) in self.training and name not in self.new
        }


class Guard:
    """What engines see of a protection; it does nothing unless overridden."""

    note: str = ""
    """A note for the user."""

    def advance(self, progress: Progress) -> str | None:
        """Change what trains, as a pure function of progress, after the strategy has.

        Returns what changed, in words, or None.
        """
        return None

    def penalise(self, step: int) -> float:
        """Add the penalty's gradient to that of the weights that train now; returns its value.

        Called once per optimizer step (from 1), in every process alike, when the gradient
        of the loss is complete.
        """
        return 0.0


@dataclass(frozen=True)
class FinishContext:
    """A model whose training is over, its best weights restored."""

    scene: GuardContext
    start: dict[str, Any]
    """By name copies of the pretrained weights that trained, as they were before, on the CPU."""
    score: Callable[[], dict[str, Any]]
    """Scores of the validation split, for the model as it is now."""
    value: Callable[[dict[str, Any]], float]
    """The selection metric, higher being better."""
    kept: Callable[[], float | None]
    """Retention, the share of old abilities that is kept; None when it is not measured."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Progress callback of long work: (done, total)."""


class Protection(Part):
    """The base class of all protections."""

    shorthand: ClassVar[str | None] = "type"
    works_on_parts: ClassVar[bool] = False
    """Whether it protects weights of which each process holds a part: it computes nothing from them
    while they train."""

    type: str

    @property
    def uses_replay(self) -> bool:
        """Whether it reads `data.replay`."""
        return False

    @property
    def replay_share(self) -> float | None:
        """The share of replay examples in the training data; None mixes none in."""
        return None

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        """Yield why it cannot work here; called before any weight is loaded."""
        yield from ()

    def guard(self, scene: GuardContext) -> Guard | None:
        """The guard during training; None when there is none."""
        return None

    @property
    def finishes(self) -> bool:
        """Whether it has a step after training."""
        return False

    def finish(self, end: FinishContext) -> Mapping[str, object]:
        """Change the weights of a trained model. Returns what results.json keeps of it."""
        return {}

    def fault(self, code: str, reason: str, remedy: str, /, **values: object) -> Fault:
        """A `Fault` whose words begin with the protection's name."""
        what = "protection '{protection}' " + reason
        return Fault(code, what, None, remedy, protection=self.type, **values)

    def needs_change(self, setting: CheckContext, *changes: UpdateKind) -> Iterator[Fault]:
        """Only strategies that change pretrained weights in one of these ways will do."""
        strategy = setting.strategy
        if strategy.update_kind in changes:
            return
        why = {
            "weights": "changes the pretrained weights themselves",
            "product": "changes pretrained weights by products of low rank only",
            "nothing": "leaves the pretrained weights as they are, or what it adds to them is no "
            "plain product B·A",
        }[strategy.update_kind]
        yield self.fault(
            "protection.strategy_unsupported",
            "does not support strategy '{strategy}' as configured: it {why}",
            "{remedy}",
            strategy=strategy.type,
            why=why,
            remedy="remove it"
            if strategy.update_kind == "nothing"
            else "use l2sp or kl, or strategy full",
        )
