"""Classifier as policy, a contextual bandit: the state is a text, the action its label.

There is one step, so discounts mean nothing and the advantage is r − V. The optimum of
E_π[r] − β · KL(π ‖ π_ref) is known, π*(a) ∝ π_ref(a) · e^(r(a)/β), which is what the tests
hold it against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from welltuned.evaluation.features import trunk_of
from welltuned.evaluation.predict import to_device
from welltuned.models.modeling_pooled import pool
from welltuned.rlhf.actors.base import (
    Actor,
    Rollout,
    TokenEstimates,
    assembled,
    by_length,
    require_finite,
    trimmed,
)
from welltuned.rlhf.kl import entropies
from welltuned.rlhf.prompts import taken
from welltuned.tasks import Examples, Problem


@dataclass(frozen=True)
class TextPrompts:
    """Texts to be classified."""

    examples: Examples
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Cells of the rows that they come from, which rewards read: for each column N."""

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, indices: Sequence[int]) -> TextPrompts:
        return TextPrompts(self.examples.take(indices), taken(self.columns, indices))


@dataclass
class ClassifierActor(Actor):
    """Chooses labels for texts."""

    @property
    def problem(self) -> Problem:
        return self.policy.problem

    def ask(self, texts: Sequence[object]) -> TextPrompts:
        records, policy = self.problem.codec.records_of(texts), self.policy
        return TextPrompts(self.problem.codec.encode(policy.tokenizer, records, policy.max_length))

    def rollout(self, asked: TextPrompts, generator: torch.Generator) -> Rollout:
        """A label for each text, drawn from the policy."""
        pad_id, everyone = int(self.policy.tokenizer.pad_token_id), range(len(asked))
        batch = self.problem.codec.collate(asked.examples, everyone, pad_id)
        batch.pop("labels", None)
        inputs = to_device(batch, self.device)
        policy_BK, references_BK, values_B, states = self._look(inputs)
        require_finite(policy_BK)
        shares_BK = policy_BK.exp().cpu()
        actions_B1 = torch.multinomial(shares_BK, 1, generator=generator).to(self.device)
        records, names = asked.examples.records, self.problem.labels
        return Rollout(
            prompts=["\n".join(self.problem.presenter.lines(records, i)) for i in everyone],
            responses=[names[action] for action in actions_B1[:, 0].tolist()],
            inputs=inputs,
            actions_BT=actions_B1,
            mask_BT=torch.ones_like(actions_B1, dtype=torch.bool),
            logprobs_BT=policy_BK.gather(1, actions_B1),
            references_BT=references_BK.gather(1, actions_B1),
            values_BT=values_B.unsqueeze(1),
            entropies_BT=entropies(policy_BK).unsqueeze(1),
            ended_B=torch.ones(len(asked), dtype=torch.bool, device=self.device),
            states=states,
            all_logprobs_BK=policy_BK,
            all_references_BK=references_BK,
            columns=asked.columns,
        )

    @torch.no_grad()
    def _look(
        self, inputs: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """What policy and reference think of every label, values, and the states below both."""
        rows_B = torch.arange(len(inputs["input_ids"]), device=self.device)
        parts = by_length(inputs, rows_B, self.rows_at_once)
        policy, references, values, kept = [], [], [], []
        for rows in parts:
            part, columns = trimmed(inputs, rows)
            with self.noted() as noted:
                logprobs_RK, values_R = self._forward(part)
            with self.reference.acting(), self.resumed(noted[0] if noted else None):
                references.append(self._forward(part)[0])
            policy.append(logprobs_RK)
            values.append(values_R)
            kept += [(rows, columns, states) for states in noted]
        back_B = torch.cat(parts).argsort()
        whole = (torch.cat(found)[back_B] for found in (policy, references, values))
        return *whole, assembled(kept, inputs["input_ids"].shape)  # type: ignore[return-value]

    def judge(self, rollout: Rollout, rows: torch.Tensor, entropy: bool = False) -> TokenEstimates:
        inputs, columns = trimmed(rollout.inputs, rows)
        with self.resumed(rollout.states_of(rows, columns)):
            logprobs_RK, values_R = self._forward(inputs)
        return TokenEstimates(
            logprobs_BT=logprobs_RK.gather(1, rollout.actions_BT[rows]),
            values_BT=values_R.unsqueeze(1),
            entropies_BT=entropies(logprobs_RK).unsqueeze(1) if entropy else None,
            all_logprobs_BK=logprobs_RK,
        )

    def _forward(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of all labels (B, K) and values (B), in one pass."""
        with self._hidden() as hidden, self.computing():
            logits_BK = self.model(**inputs).logits.float()
        pooled_BH = pool(hidden[0].float(), inputs["attention_mask"], "mean")
        return functional.log_softmax(logits_BK / self.temperature, dim=-1), self.value(pooled_BH)

    @contextmanager
    def _hidden(self) -> Iterator[list[torch.Tensor]]:
        """Catches the trunk's last hidden states (B, T, H), which values read whatever the head."""
        found: list[torch.Tensor] = []
        hook = trunk_of(self.model, self.anatomy).register_forward_hook(
            lambda module, given, output: found.append(output.last_hidden_state)
        )
        try:
            yield found
        finally:
            hook.remove()
