"""A policy that is a table: what an algorithm does to it can be compared with closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from welltuned.rlhf.actors.base import Actor, Rollout, TokenEstimates
from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.kl import entropies
from welltuned.rlhf.learner import Learner, Stats, step
from welltuned.rlhf.reference import ReferencePolicy
from welltuned.strategies import ParameterGroup


class Fixed(ReferencePolicy):
    """A reference that needs no model."""

    bytes = 0

    def acting(self) -> Any:
        return nullcontext()


class Asked(list[int]):
    """States as prompts."""

    def take(self, indices: Sequence[int]) -> Asked:
        return Asked(self[i] for i in indices)


class Tabular(Actor):
    """Logits (S, K) over K actions in S states; values from one-hot states."""

    def __init__(self, references_SK: torch.Tensor) -> None:
        model = nn.Module()
        model.table = nn.Parameter(references_SK.clone())
        anatomy: Any = SimpleNamespace(hidden_size=len(references_SK))
        policy: Any = SimpleNamespace(
            model=model, anatomy=anatomy, reference=Fixed(), precision="fp32"
        )
        super().__init__(policy, 1.0, 64)
        self.references_SK = references_SK.log_softmax(-1)

    @property
    def policy_SK(self) -> torch.Tensor:
        return self.model.table.log_softmax(-1)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("table", [self.model.table])]

    def ask(self, texts: Sequence[Any]) -> Any:
        return Asked(texts)

    def rollout(self, chosen: Any, generator: torch.Generator) -> Rollout:
        states_B = torch.tensor(chosen)
        with torch.no_grad():
            policy_BK, references_BK = self.policy_SK[states_B], self.references_SK[states_B]
            actions_B1 = torch.multinomial(policy_BK.exp(), 1, generator=generator)
            values_B1 = self._values(states_B).unsqueeze(1)
        return Rollout(
            prompts=[str(state) for state in chosen],
            responses=[str(action) for action in actions_B1[:, 0].tolist()],
            inputs={"states": states_B, "attention_mask": torch.ones(len(chosen), 1)},
            actions_BT=actions_B1,
            mask_BT=torch.ones_like(actions_B1, dtype=torch.bool),
            logprobs_BT=policy_BK.gather(1, actions_B1),
            references_BT=references_BK.gather(1, actions_B1),
            values_BT=values_B1,
            entropies_BT=entropies(policy_BK).unsqueeze(1),
            ended_B=torch.ones(len(chosen), dtype=torch.bool),
            all_logprobs_BK=policy_BK,
            all_references_BK=references_BK,
        )

    def judge(self, rollout: Rollout, rows: torch.Tensor, entropy: bool = False) -> TokenEstimates:
        states_R = rollout.inputs["states"][rows]
        policy_RK = self.policy_SK[states_R]
        chosen_R1 = policy_RK.gather(1, rollout.actions_BT[rows])
        entropies_R1 = entropies(policy_RK).unsqueeze(1) if entropy else None
        return TokenEstimates(
            chosen_R1, self._values(states_R).unsqueeze(1), entropies_R1, policy_RK
        )

    def _values(self, states: torch.Tensor) -> torch.Tensor:
        return self.value(nn.functional.one_hot(states, len(self.references_SK)).float())


def ppo(**values: Any) -> Ppo:
    """A config in which every number is known."""
    known = {"learning_rate": 0.1, "total_episodes": 6400, "max_kl": 100.0, "eval_steps": 10}
    return Ppo.model_validate({**known, **values})


BETA = 0.5
torch.manual_seed(0)
REFERENCES = torch.randn(3, 4)
REWARDS = torch.randn(3, 4)
BEST = (REFERENCES.log_softmax(-1) + REWARDS / BETA).log_softmax(-1)


def learn(
    batches: int,
    size: int,
    reward: torch.Tensor = REWARDS,
    algorithm: Algorithm | None = None,
    **values: Any,
) -> tuple[Learner, list[Stats]]:
    """Some batches over all states in turn, by PPO or another algorithm."""
    config = algorithm or ppo(
        **{
            "kl_coef": BETA,
            "batch_size": size,
            "per_device_train_batch_size": size,
            "value_learning_rate": 0.05,
            "vf_coef": 1.0,
            "cliprange_value": 10.0,
            "max_grad_norm": 0,
            **values,
        }
    )
    learner = Learner.of(Tabular(REFERENCES), config, batches)
    stats = []
    for _ in range(batches):
        states = torch.arange(size // config.samples_per_prompt).remainder(3)
        rollout = learner.rollout(Asked(states.tolist()))
        scores = reward[rollout.inputs["states"]]
        if not config.scores_every_action:
            scores = scores.gather(1, rollout.actions_BT)[:, 0]
        stats.append(step(learner, rollout, scores.numpy()))
    return learner, stats


def distance(learner: Learner) -> float:
    actor: Any = learner.actor
    return float((actor.policy_SK.exp() - BEST.exp()).detach().abs().max())
