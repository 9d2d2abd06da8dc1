"""Proximal policy optimisation, one batch at a time.

    rollout = learner.rollout(prompts)                   the policy answers some prompts
    scores = reward(rollout.prompts, rollout.responses)  somebody judges the answers
    step(learner, rollout, scores):
        rewards = the score at a response's end − β · log-ratio of each of its tokens
        advantages = GAE of these, whitened
        for each epoch, for each minibatch of responses:
            loss = (policy losses + vf_coef · value losses) / tokens of the minibatch
            stop here if the policy has moved further than target_kl
            backward, clip, optimizer step
        learning rate and β go on

What looks unusual is so for a reason: everything is in eval mode; the loss is divided once,
by the tokens of the whole minibatch; and in the first minibatch of every batch the ratio of
policy and sampling policy has to be 1, or the run fails: nothing learned would be true.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from welltuned.errors import RunFailed
from welltuned.rlhf.actors.base import (
    Actor,
    DivergedError,
    PromptBatch,
    Rollout,
    TokenEstimates,
    by_length,
)
from welltuned.rlhf.algorithms.advantages import masked_mean
from welltuned.rlhf.algorithms.objectives import (
    Exact,
    Experience,
    PolicyObjective,
    Sampled,
    estimate,
    explained_variance,
    response_kl,
)
from welltuned.rlhf.config import ResolvedPpo
from welltuned.rlhf.kl import KLCoefficient
from welltuned.strategies import ParameterGroup

# --- The learner ----------------------------------------------------------------


@dataclass
class Learner:
    """An actor under way: its optimizer, its schedule, and β."""

    actor: Actor
    config: ResolvedPpo
    groups: list[ParameterGroup]
    """The policy's weights, and last the value head's."""
    optimizer: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    kl: KLCoefficient
    training: ResolvedTraining
    total_batches: int
    batches: int = 0
    """Batches learned from so far."""

    @classmethod
    def of(cls, actor: Actor, config: ResolvedPpo, total_batches: int) -> Learner:
        """Ready to learn from `total_batches` batches."""
        training = ResolvedTraining(
            metric_for_best_model="reward",
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            adam_epsilon=config.adam_epsilon,
            lr_scheduler_type=config.lr_scheduler_type,
            warmup_ratio=0.0,
        )
        scale = config.value_learning_rate / config.learning_rate
        values = ParameterGroup("value head", list(actor.value.parameters()), scale, False)
        groups = [*actor.parameter_groups(), values]
        optimizer = build_optimizer(groups, training)
        schedule = build_schedule(optimizer, total_batches, training)
        kl = KLCoefficient(config.kl_coef, config.kl_target, config.kl_horizon)
        return cls(actor, config, groups, optimizer, schedule, kl, training, total_batches)

    @property
    def learning_rate(self) -> float:
        """The policy's, for the batch to come."""
        return learning_rate_at(self.batches + 1, self.total_batches, self.training)

    def rollout(self, prompts: PromptBatch | Sequence[Any]) -> Rollout:
        """Answers to some prompts, such as texts; a pure function of weights, seed and batch."""
        asked = self.actor.ask(prompts) if isinstance(prompts, Sequence) else prompts
        seed = int(np.random.SeedSequence((self.config.seed, self.batches)).generate_state(1)[0])
        return self.actor.rollout(asked, torch.Generator().manual_seed(seed))

    def minibatches(self, rollout: Rollout, epoch: int) -> list[torch.Tensor]:
        """Rows of each minibatch; a pure function of seed, batch and epoch."""
        random = np.random.default_rng((self.config.seed, self.batches, epoch))
        order_B = torch.from_numpy(random.permutation(len(rollout))).to(rollout.mask_BT.device)
        return list(order_B.chunk(self.config.num_mini_batches))


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
    value: float
    explained_variance: float
    """The share of the returns' variance that the values foresaw."""
    policy_loss: float
    value_loss: float
    approx_kl: float
    """Nats per token that the policy moved away from the one that sampled."""
    clip_fraction: float
    ratio: float
    gradient_norm: float
    learning_rate: float
    optimizer_steps: int
    stopped_early: bool
    """Whether `target_kl` ended the passes."""
    tokens: int
    seconds: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


# --- One batch ------------------------------------------------------------------


def step(learner: Learner, rollout: Rollout, scores: np.ndarray | Sequence[float]) -> Stats:
    """Learn from one batch.

    `scores` (B) judge the responses; with `gradient: exact` they are (B, K) and judge every
    label of each prompt. Raises `DivergedError` when a loss or gradient is not finite, before
    it reaches any weight, and `RunFailed` when sampling and judging do not agree.
    """
    started = time.perf_counter()
    given = torch.from_numpy(np.asarray(scores, dtype=np.float32)).to(learner.actor.device)
    objective, scores_B, experience = _objective(learner, rollout, given)
    sums, norms, stopped = _pass_over(learner, rollout, objective)
    rate = learner.learning_rate
    kl_B, coefficient = response_kl(rollout), learner.kl.value
    kl = float(kl_B.mean())
    learner.kl.update(kl, len(rollout))
    learner.schedule.step()
    learner.batches += 1
    return Stats(
        reward=float(scores_B.mean()),
        reward_deviation=float(scores_B.std()),
        kl=kl,
        kl_error=0.0 if rollout.all_logprobs_BK is not None else _standard_error(kl_B),
        kl_coef=coefficient,
        entropy=float(masked_mean(rollout.entropies_BT, rollout.mask_BT)),
        value=float(masked_mean(rollout.values_BT, rollout.mask_BT)),
        explained_variance=explained_variance(experience, rollout),
        policy_loss=sums["policy_loss"],
        value_loss=sums.get("value_loss", 0.0),
        approx_kl=sums["approx_kl"],
        clip_fraction=sums.get("clip_fraction", 0.0),
        ratio=sums["ratio"],
        gradient_norm=sum(norms) / max(len(norms), 1),
        learning_rate=rate,
        optimizer_steps=len(norms),
        stopped_early=stopped,
        tokens=int(rollout.mask_BT.sum()),
        seconds=time.perf_counter() - started,
    )


def _objective(
    learner: Learner, rollout: Rollout, scores: torch.Tensor
) -> tuple[PolicyObjective, torch.Tensor, Experience]:
    """What to minimise, the score of what was sampled, and its worth."""
    config, coefficient = learner.config, learner.kl.value
    known_BK = rollout.all_logprobs_BK if config.gradient == "exact" else None
    wanted = (len(rollout),) if known_BK is None else tuple(known_BK.shape)
    if tuple(scores.shape) != wanted:
        raise RunFailed(f"the scores have the shape {tuple(scores.shape)} and not {wanted}")
    if not bool(scores.isfinite().all()):
        raise RunFailed("the scores are not all finite")
    if known_BK is None:
        experience = estimate(rollout, scores, config, coefficient)
        return Sampled(rollout, experience, config), scores, experience
    scores_B = scores.gather(1, rollout.actions_BT)[:, 0]
    experience = estimate(rollout, scores_B, config, coefficient)
    return Exact(rollout, scores, config, coefficient), scores_B, experience


def _pass_over(
    learner: Learner, rollout: Rollout, objective: PolicyObjective
) -> tuple[dict[str, float], list[float], bool]:
    """All passes over a batch.

    Returns the means over its minibatches, the gradient norm of each optimizer step, and
    whether `target_kl` ended the passes.
    """
    config = learner.config
    seen: list[dict[str, float]] = []
    norms: list[float] = []
    for epoch in range(config.num_ppo_epochs):
        for rows in learner.minibatches(rollout, epoch):
            means = _accumulate(learner, rollout, objective, rows, first=not seen)
            seen.append(means)
            if config.target_kl is not None and means["approx_kl"] > config.target_kl:
                learner.optimizer.zero_grad(set_to_none=True)
                return _mean(seen), norms, True
            norms.append(_take_step(learner))
    return _mean(seen), norms, False


def _accumulate(
    learner: Learner, rollout: Rollout, objective: PolicyObjective, rows: torch.Tensor, first: bool
) -> dict[str, float]:
    """Leave the gradients of a minibatch in the weights; returns its means."""
    actor, config = learner.actor, learner.config
    count, totals = objective.count(rows), dict[str, float]()
    for part in by_length(rollout.inputs, rows, config.per_device_train_batch_size):
        judged = actor.judge(rollout, part, entropy=config.entropy_coef > 0)
        if first:
            _require_agreement(actor, rollout, judged, part)
        sums = objective.sums(judged, part)
        if not bool(sums["loss"].isfinite()):
            raise DivergedError("the loss is not finite; no step was taken with it")
        (sums["loss"] / count).backward()
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach())
    return {name: total / count for name, total in totals.items()}


def _take_step(learner: Learner) -> float:
    norm = clip_gradients(learner.groups, learner.config.max_grad_norm)
    if not math.isfinite(norm):
        raise DivergedError("the gradient is not finite; no step was taken with it")
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
            f"before the first update of a batch a ratio of the policy to itself is {error:.2g} "
            "away from 1: sampling and judging do not compute the same, and nothing learned "
            "would be true; this is a fault of welltuned or of the model's code, please report it"
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
            f"before the first update the policy differs from its reference by {largest:.4f} in a "
            "log-probability; the divergence from where it began could not be measured"
        )
