"""A Trainer user's way in: our strategies, our batches, or PPO, in a script that is there already.

    from welltuned import hf

    tuned = hf.apply_strategy(model, tokenizer, "gradual")
    trainer = Trainer(tuned.model, optimizers=(tuned.optimizer(2e-5), None),
                      callbacks=[tuned.callback()], …)

Each can be taken by itself. What else a run does (checks, proof, report) needs `wt.train`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import transformers
from torch.utils.data import Sampler
from transformers import TrainerCallback

from welltuned.artifact.manifest import ArtifactManifest, Origin
from welltuned.data.batching import BatchPlan
from welltuned.data.records import Records
from welltuned.engines.config import ResolvedTraining, TrainingConfig
from welltuned.engines.optimizer import build_optimizer
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.models.anatomy import Anatomy, examine_anatomy
from welltuned.models.checksums import weights_fingerprint
from welltuned.models.config import ModelConfig
from welltuned.models.loading import Head, build_skeleton
from welltuned.rlhf.api import algorithm_of
from welltuned.rlhf.defaults import resolve_rl_defaults
from welltuned.rlhf.learner import Learner
from welltuned.rlhf.policy import Policy, check_policy, in_float32, reference_policy_of
from welltuned.rlhf.prompt_splits import make_actor
from welltuned.schema.document import Document
from welltuned.schema.part import Part
from welltuned.schema.validation import validate
from welltuned.strategies import AnyStrategy, Context, ParameterGroup, Progress, Strategy
from welltuned.tasks import language_modelling
from welltuned.training.preparation.defaults import resolve_parts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LengthGroupedBatches", "TunedModel", "apply_strategy", "start_ppo"]


class _Kind(NamedTuple):
    """What kind of head a model class ends in."""

    auto_class: str
    task_type: str
    """What PEFT calls it."""
    new_head: bool


_KINDS = {
    "ForSequenceClassification": _Kind("AutoModelForSequenceClassification", "SEQ_CLS", True),
    "ForTokenClassification": _Kind("AutoModelForTokenClassification", "TOKEN_CLS", True),
    "ForCausalLM": _Kind("AutoModelForCausalLM", "CAUSAL_LM", False),
    "LMHeadModel": _Kind("AutoModelForCausalLM", "CAUSAL_LM", False),
}
"""By how the names of model classes end in transformers."""


class _Request(Part):
    strategy: AnyStrategy


# --- Strategies ---------------------------------------------------------------------


@dataclass(frozen=True)
class TunedModel:
    """A model that a strategy has prepared: what trains of it, and when."""

    model: Any
    """To be trained: the model itself, or PEFT's around it."""
    strategy: Strategy
    anatomy: Anatomy
    training: TrainingConfig
    """With the learning rate and weight decay that are usual for the strategy."""

    def groups(self) -> list[ParameterGroup]:
        """All parameters that ever train, by depth, multiple of the learning rate and decay."""
        return self.strategy.parameter_groups(self.model, self.anatomy)

    def optimizer(
        self, learning_rate: float | None = None, weight_decay: float | None = None
    ) -> torch.optim.Optimizer:
        """AdamW over `groups`. Without numbers, with those that are usual for the strategy."""
        given = {"learning_rate": learning_rate, "weight_decay": weight_decay}
        changes = {name: value for name, value in given.items() if value is not None}
        values = {
            name: getattr(self.training, name)
            for name in ("learning_rate", "weight_decay", "warmup_ratio")
        }
        return build_optimizer(
            self.groups(),
            ResolvedTraining(metric_for_best_model="loss", **{**values, **changes}),
        )

    def advance(self, fraction: float, epoch: float) -> str | None:
        """Let train what trains so far into training (0 to 1); returns what changed, in words."""
        return self.strategy.advance(self.model, self.anatomy, Progress(fraction, epoch))

    def callback(self) -> TrainerCallback:
        """For `Trainer(callbacks=[…])`: what trains changes as training goes on."""
        return _Advances(self)

    def finish(self) -> None:
        """After training, before saving: let go of what only training needed."""
        self.strategy.finish(self.model)


class _Advances(TrainerCallback):
    """Tells a strategy before each step how far training is."""

    def __init__(self, tuned: TunedModel) -> None:
        self._tuned = tuned

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tuned.advance(state.global_step / max(1, state.max_steps), state.epoch or 0.0)


def apply_strategy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    strategy: Strategy | Mapping[str, object] | str,
    *,
    examples: int = 1000,
    texts: Sequence[str] = (),
    seed: int = 0,
) -> TunedModel:
    """Prepare a loaded model of transformers as a strategy of ours would: freeze, or inject.

    `strategy` is its name, or a mapping with its options; `examples` says how many will be learned
    from, by which usual learning rates are chosen; `texts` are a few of them, for initialisations
    that start from real text. The model is changed in place.

    Raises `InputError` for a model or a strategy that cannot be tuned so.

        tuned = apply_strategy(model, tokenizer, {"type": "lora", "r": 16})
    """
    kind = _kind_of(model)
    anatomy = examine_anatomy(build_skeleton(_head_of(model, kind)), kind.new_head)
    training, chosen, _ = resolve_parts(TrainingConfig(), _read(strategy), anatomy, examples)
    if objections := [*chosen.check(anatomy), *_untrainable(chosen)]:
        raise InputError(objections)
    tokens = [tokenizer(text)["input_ids"] for text in texts]
    context = Context(anatomy, tokenizer, model.name_or_path or "", kind.task_type, seed, tokens)
    prepared = chosen.prepare(model, context)
    in_float32(prepared, chosen, anatomy)
    return TunedModel(prepared, chosen, anatomy, training)


def _untrainable(strategy: Strategy) -> Iterator[Fault]:
    """What takes more than a model that is prepared, and so a whole run."""
    if strategy.contrast is not None:
        yield Fault(
            "hf.strategy_needs_run",
            "strategy '{strategy}' draws groups of texts and solves for the head afterwards, which "
            "a `Trainer` does not",
            None,
            "use `wt.train`, or another strategy",
            strategy=strategy.type,
        )


def _read(strategy: Strategy | Mapping[str, object] | str) -> Strategy:
    if isinstance(strategy, Strategy):
        return strategy
    faults = Faults()
    given = strategy if isinstance(strategy, str) else dict(strategy)
    read = validate(_Request, Document({"strategy": given}, source="arguments"), faults)
    faults.raise_if_any()
    assert read is not None
    return read.strategy


def _kind_of(model: PreTrainedModel) -> _Kind:
    name = type(model).__name__
    for ending, kind in _KINDS.items():
        if name.endswith(ending):
            return kind
    raise InputError(
        Fault(
            "hf.model_unsupported",
            "a {name} cannot be tuned here",
            None,
            "give a model for sequences, for tokens, or a causal language model: {known}",
            name=name,
            known=", ".join(_KINDS),
        )
    )


def _head_of(model: PreTrainedModel, kind: _Kind) -> Head:
    return Head(getattr(transformers, kind.auto_class), model.config, kind.new_head)


# --- Batches ------------------------------------------------------------------------


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of texts of like length, for `DataLoader(batch_sampler=…)`.

    Every pass goes over all examples once, in an order that follows from the seed and the epoch.
    With `max_tokens` a batch is as many examples as fit into so many tokens, padding included, and
    no more than `batch_size`. `lengths` are those of the examples, in tokens.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        self.batch_size = batch_size
        self.epoch = 0
        """The pass to come. `Trainer` and accelerate set it; without them each pass counts it."""
        numbers = np.asarray(lengths, dtype=np.int64)
        self._plan = BatchPlan(numbers, batch_size, seed=seed, max_tokens=max_tokens)

    def __len__(self) -> int:
        """Batches of the pass to come."""
        return self._plan.count(self.epoch + 1)[-1]

    def __iter__(self) -> Iterator[list[int]]:
        steps = self._plan.steps(self.epoch)
        self.epoch += 1
        yield from (batch.tolist() for step in steps for batch in step)

    def set_epoch(self, epoch: int) -> None:
        """Which pass comes next, from 0."""
        self.epoch = epoch


# --- Reinforcement learning -----------------------------------------------------------


def start_ppo(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    total_batches: int,
    *,
    strategy: Strategy | Mapping[str, object] | str,
    max_length: int = 512,
    **options: object,
) -> Learner:
    """A learner whose policy is a loaded causal language model; its reference is the same model.

    `options` are keys of a pipeline's `rl:`, such as `batch_size` or `type` for another algorithm
    than PPO. Prompts go through the tokenizer's chat template, if it has one. What is learned is
    taken with `welltuned.rl.step` and saved with `welltuned.rl.save`. Raises `InputError`.

        learner = start_ppo(model, tokenizer, 100, strategy="lora", batch_size=8)
        rollout = learner.rollout(prompts)
        stats = wt.rl.step(learner, rollout, my_reward(rollout.prompts, rollout.responses))
    """
    if (kind := _kind_of(model)).new_head:
        raise InputError(
            Fault(
                "hf.policy_unsupported",
                "a {name} writes no text, so PPO has nothing to sample",
                None,
                "give a causal language model; a classifier goes through a pipeline, `task: "
                "classification`",
                name=type(model).__name__,
            )
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    algorithm = algorithm_of(options)
    policy = _policy_of(model, tokenizer, _read(strategy), kind, max_length, algorithm.seed)
    algorithm, _ = resolve_rl_defaults(
        algorithm, policy.strategy, policy.anatomy, policy.problem, algorithm.batch_size
    )
    return Learner.of(make_actor(policy, algorithm), algorithm, total_batches)


def _policy_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, strategy: Strategy, kind: _Kind,
    max_length: int, seed: int,
) -> Policy:  # fmt: skip
    """The policy that a model is, as `welltuned.rlhf.policy` makes one of a finished run."""
    check_policy(strategy, True, strategy, Place("strategy"))
    if strategy.head_learning_rate_scale == "auto":  # its head is no new one
        strategy = strategy.model_copy(update={"head_learning_rate_scale": 1.0})
    origin, head = Origin(weights_fingerprint(model), ()), _head_of(model, kind)
    tuned = apply_strategy(model, tokenizer, strategy, seed=seed)
    asked: list[Any] = [[] if tokenizer.chat_template else None]
    problem = language_modelling(Records("prompts", {"messages": asked}, [1], ()))
    base = ModelConfig(name=model.name_or_path or "model")
    reference = reference_policy_of(tuned.model, strategy, tuned.anatomy, goes_on=False)
    longest = min(max_length, tuned.anatomy.max_length or max_length)
    manifest = ArtifactManifest(problem, strategy, base, origin, longest, "fp32")
    return Policy(tuned.model, reference, tokenizer, head, tuned.anatomy, manifest)
