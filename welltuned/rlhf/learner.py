"""Learning from one batch at a time, by whatever algorithm.

    rollout = learner.rollout(prompts)                   the policy answers some prompts
    scores = reward(rollout.prompts, rollout.responses)  somebody judges the answers
    step(learner, rollout, scores):
        experience = what the algorithm sees in them, such as advantages
        for each pass, for each minibatch of responses:
            loss = the algorithm's, over tokens of the minibatch
            stop here if the policy has moved further than target_kl
            backward, clip, optimizer step
        learning rate and β go on

What looks unusual is so for a reason: everything is in eval mode; losses are divided once, by the
`divisor` of the whole minibatch; and in the first minibatch of every batch the ratio of policy and
sampling policy has to be 1, or the run fails: nothing learned would be true.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from welltuned.engines.config import ResolvedTraining
from welltuned.engines.optimizer import (
    build_optimizer,
    build_schedule,
    clip_gradients,
    learning_rate_at,
)
from welltuned.engines.snapshot import trained_weights
from welltuned.errors import Fault, RunFailed
from welltuned.rlhf.actors.base import (
    Actor,
    DivergedError,
    PromptBatch,
    Rollout,
    TokenEstimates,
    by_length,
)
from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.algorithms.advantages import masked_mean
from welltuned.rlhf.kl import KLCoefficient
from welltuned.strategies import ParameterGroup

# --- The learner ----------------------------------------------------------------


@dataclass
class Learner:
    """An actor under way: its optimizer, its schedule, and β."""

    actor: Actor
    algorithm: Algorithm
    policy_groups: list[ParameterGroup]
    """The policy's weights."""
    groups: list[ParameterGroup]
    """These, and the value head's where there is one."""
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    kl: KLCoefficient
    training: ResolvedTraining
    total_batches: int
    batches: int = 0
    """Batches learned from so far."""

    @classmethod
    def of(cls, actor: Actor, algorithm: Algorithm, total_batches: int) -> Learner:
        """Ready to learn from `total_batches` batches; the learning rate is a number."""
        rate = algorithm.learning_rate
        assert not isinstance(rate, str)
        same = ("optim", "optim_args", "weight_decay", "adam_epsilon", "lr_scheduler_type")
        training = ResolvedTraining(
            metric_for_best_model="reward",
            learning_rate=rate,
            warmup_ratio=0.0,
            **{key: getattr(algorithm, key) for key in same},
        )
        policy = actor.parameter_groups()
        groups = [*policy, *_value_groups(actor, algorithm, rate)]
        optimizer = build_optimizer(groups, training)
        schedule = build_schedule(optimizer, total_batches, training)
        kl = KLCoefficient(algorithm.kl_coef, algorithm.kl_target, algorithm.kl_horizon)
        known = optimizer, schedule, kl, training, total_batches
        return cls(actor, algorithm, policy, groups, *known)

    def go_on(self, batches: int, kl_coef: float) -> None:
        """From where one was that had learned from so many batches, and had come to this β."""
        self.batches, self.kl.value = batches, kl_coef
        schedule = build_schedule(self.optimizer, self.total_batches, self.training, batches)
        self.schedule = schedule

    @property
    def weights(self) -> dict[str, torch.nn.Parameter]:
        """What trains at any time, by name; the value head's names begin with `value.`"""
        weights = trained_weights(self.actor.model, self.groups)
        return weights | {f"value.{n}": w for n, w in self.actor.value.named_parameters()}

    @property
    def learning_rate(self) -> float:
        """The policy's, for the batch to come."""
        return learning_rate_at(self.batches + 1, self.total_batches, self.training)

    def rollout(self, prompts: PromptBatch | Sequence[object]) -> Rollout:
        """Answers to some prompts, such as texts; a pure function of weights, seed and batch.

        There are `samples_per_prompt` to each, one after the other.
        """
        asked = self.actor.ask(prompts) if isinstance(prompts, Sequence) else prompts
        times = self.algorithm.samples_per_prompt
        if times > 1:
            asked = asked.take([i for i in range(len(asked)) for _ in range(times)])
        entropy = self.algorithm.seed, self.batches
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        return self.actor.rollout(asked, torch.Generator().manual_seed(seed))

    def minibatches(self, rollout: Rollout, epoch: int) -> list[torch.Tensor]:
        """Rows of each minibatch; a pure function of seed, batch and epoch."""
        random = np.random.default_rng((self.algorithm.seed, self.batches, epoch))
        order_B = torch.from_numpy(random.permutation(len(rollout))).to(rollout.mask_BT.device)
        return list(order_B.chunk(self.algorithm.num_mini_batches))


def _value_groups(actor: Actor, algorithm: Algorithm, rate: float) -> list[ParameterGroup]:
    """The value head, which has a learning rate of its own."""
    if not algorithm.needs_values:
        return []
    scale = algorithm.value_rate / rate
    return [ParameterGroup("value head", list(actor.value.parameters()), scale, False)]


@dataclass(frozen=True)
class Stats:
    """A batch in numbers: what it earned, and what it taught."""

    reward: float
    """The mean score of the responses, without any penalty for divergence."""
    reward_deviation: float
    kl: float
    """Nats per response, from the reference."""
    kl_error: float
    """The standard error of that mean; 0 where the divergence is no estimate."""
    kl_coef: float
    entropy: float
    """Nats per token, of the policy that sampled."""
    policy_loss: float
    approx_kl: float
    """Nats per token that the policy moved away from the one that sampled."""
    ratio: float
    gradient_norm: float
    learning_rate: float
    optimizer_steps: int
    stopped_early: bool
    """Whether `target_kl` ended the passes."""
    tokens: int
    seconds: float
    own: dict[str, float] = field(default_factory=dict)
    """What the algorithm tells beside it, such as `clip_fraction`."""

    def as_dict(self) -> dict[str, float]:
        """One level of numbers."""
        numbers = dict(vars(self))
        return {**numbers, **numbers.pop("own")}


# --- One batch ------------------------------------------------------------------


def step(learner: Learner, rollout: Rollout, scores: np.ndarray | Sequence[float]) -> Stats:
    """Learn from one batch.

    `scores` (B) judge the responses or, where the algorithm scores every action, they are
    (B, K) and judge every label of each prompt. Raises `DivergedError` when a loss or gradient
    is not finite, before it reaches any weight, and `RunFailed` when sampling and judging do not
    agree.
    """
    started = time.perf_counter()
    algorithm, coefficient = learner.algorithm, learner.kl.value
    given = torch.from_numpy(np.asarray(scores, dtype=np.float32)).to(learner.actor.device)
    _require_scores(algorithm, rollout, given)
    sampled_B = given.gather(1, rollout.actions_BT)[:, 0] if given.ndim > 1 else given
    experience = algorithm.experience(rollout, penalised(given, rollout, algorithm), coefficient)
    sums, norms, stopped = _pass_over(learner, rollout, experience)
    rate = learner.learning_rate
    kl_B = rollout.kl()
    kl = float(kl_B.mean())
    learner.kl.update(kl, len(rollout))
    learner.schedule.step()
    learner.batches += 1
    shared = {name: sums.pop(name) for name in ("policy_loss", "approx_kl", "ratio")}
    return Stats(
        reward=float(sampled_B.mean()),
        reward_deviation=float(sampled_B.std()),
        kl=kl,
        kl_error=0.0 if rollout.all_logprobs_BK is not None else _standard_error(kl_B),
        kl_coef=coefficient,
        entropy=float(masked_mean(rollout.entropies_BT, rollout.mask_BT)),
        **shared,
        gradient_norm=sum(norms) / max(len(norms), 1),
        learning_rate=rate,
        optimizer_steps=len(norms),
        stopped_early=stopped,
        tokens=int(rollout.mask_BT.sum()),
        seconds=time.perf_counter() - started,
        own={**algorithm.facts(experience), **sums},
    )


def penalised(scores: torch.Tensor, rollout: Rollout, algorithm: Algorithm) -> torch.Tensor:
    """The scores, those of responses without an end lowered by `missing_eos_penalty`."""
    if not algorithm.missing_eos_penalty or scores.ndim > 1:  # a label always has an end
        return scores
    return scores - algorithm.missing_eos_penalty * (~rollout.ended_B).float()


def _require_scores(algorithm: Algorithm, rollout: Rollout, scores: torch.Tensor) -> None:
    known_BK = rollout.all_logprobs_BK if algorithm.scores_every_action else None
    wanted = (len(rollout),) if known_BK is None else tuple(known_BK.shape)
    if tuple(scores.shape) != wanted:
        raise RunFailed(
            Fault(
                "rlhf.scores_bad_shape",
                "the scores have the shape {shape}, not {wanted}",
                None,
                "give one score per response, or one per label where every label is scored",
                shape=tuple(scores.shape),
                wanted=wanted,
            )
        )
    if not bool(scores.isfinite().all()):
        raise RunFailed(
            Fault(
                "rlhf.scores_not_finite",
                "the scores are not all finite",
                None,
                "look at the reward: it must give a finite number for every response",
            )
        )


def _pass_over(
    learner: Learner, rollout: Rollout, experience: Any
) -> tuple[dict[str, float], list[float], bool]:
    """All passes over a batch.

    Returns the means over its minibatches, the gradient norm of each optimizer step, and
    whether `target_kl` ended the passes.
    """
    algorithm = learner.algorithm
    seen: list[dict[str, float]] = []
    norms: list[float] = []
    for epoch in range(algorithm.passes):
        for rows in learner.minibatches(rollout, epoch):
            means = _accumulate(learner, rollout, experience, rows, first=not seen)
            seen.append(means)
            if algorithm.target_kl is not None and means["approx_kl"] > algorithm.target_kl:
                learner.optimizer.zero_grad(set_to_none=True)
                return _mean(seen), norms, True
            norms.append(_take_step(learner))
    return _mean(seen), norms, False


def _accumulate(
    learner: Learner, rollout: Rollout, experience: Any, rows: torch.Tensor, first: bool
) -> dict[str, float]:
    """Leave the gradients of a minibatch in the weights; returns its means."""
    actor, algorithm, totals = learner.actor, learner.algorithm, dict[str, float]()
    count, divisor = int(rollout.mask_BT[rows].sum()), algorithm.divisor(rollout, rows)
    for part in by_length(rollout.inputs, rows, algorithm.per_device_train_batch_size):
        judged = actor.judge(rollout, part, entropy=algorithm.entropy_coef > 0)
        if first:
            _require_agreement(actor, rollout, judged, part)
        sums = algorithm.loss(experience, judged, part)
        bonus = _entropy_bonus(algorithm, rollout, judged, part) / count
        loss = sums.pop("loss") / divisor - bonus
        if not bool(loss.isfinite()):
            raise DivergedError(
                Fault("rlhf.loss_not_finite", "the loss is not finite; no step was taken with it")
            )
        loss.backward()
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach())
    return {n: total / (divisor if n.endswith("_loss") else count) for n, total in totals.items()}


def _entropy_bonus(
    algorithm: Algorithm, rollout: Rollout, judged: TokenEstimates, rows: torch.Tensor
) -> torch.Tensor | float:
    """The sum over these rows of what the policy's entropy is worth."""
    if judged.entropies_BT is None:
        return 0.0
    entropies_RT = judged.entropies_BT.masked_fill(~rollout.mask_BT[rows], 0)
    return algorithm.entropy_coef * entropies_RT.sum()


def _take_step(learner: Learner) -> float:
    norm = clip_gradients(learner.groups, learner.algorithm.max_grad_norm)
    if not math.isfinite(norm):
        raise DivergedError(
            Fault(
                "rlhf.gradient_not_finite", "the gradient is not finite; no step was taken with it"
            )
        )
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    return norm


def _require_agreement(
    actor: Actor, rollout: Rollout, judged: TokenEstimates, rows: torch.Tensor
) -> None:
    """Before the first step of a batch, policy and sampling policy are one and the same."""
    ratios_RT = (judged.logprobs_BT.detach() - rollout.logprobs_BT[rows]).exp()
    error = float((ratios_RT - 1).masked_fill(~rollout.mask_BT[rows], 0).abs().max())
    if not error <= actor.tolerance:
        raise RunFailed(
            Fault(
                "rlhf.ratio_not_one",
                "before a batch's first update the policy's probability ratio to itself is "
                "{error:.2g} away from 1: log-probabilities as recorded in sampling and as "
                "recomputed differ, so nothing could be learned from them",
                None,
                "this is a bug in welltuned or in the model's code; please report it",
                error=error,
            )
        )


def _standard_error(values_B: torch.Tensor) -> float:
    return float(values_B.std() / len(values_B) ** 0.5)


def _mean(seen: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(means[name] for means in seen) / len(seen) for name in seen[0]}


def require_reference(actor: Actor, rollout: Rollout) -> None:
    """Before the first update the policy is its reference, in every log-probability.

    Raises `RunFailed` when it is not.
    """
    difference_BT = (rollout.logprobs_BT - rollout.references_BT).masked_fill(~rollout.mask_BT, 0)
    largest = float(difference_BT.abs().max())
    if not largest <= actor.tolerance:
        raise RunFailed(
            Fault(
                "rlhf.reference_differs",
                "before the first update the policy differs from its reference by {error:.4f} in "
                "a log-probability, so the KL divergence from it could not be measured",
                None,
                "this is a bug in welltuned or in the model's code; please report it",
                error=largest,
            )
        )
