"""Language model as policy: the state is the text so far, the action its next token.

Passes of the trunk for a batch that is learned from E times: one to sample, with the cache,
which gives log-probabilities and values too; one for the reference; E to learn. Blocks below
everything that trains run in the reference's pass alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from welltuned.data.encoding import IGNORED
from welltuned.data.records import Records
from welltuned.errors import Fault, RunFailed
from welltuned.models.language_head import token_scores
from welltuned.rlhf.actors.base import Actor, Rollout, TokenEstimates, assembled, by_length, trimmed
from welltuned.rlhf.actors.sampling import SampledTokens, sample
from welltuned.rlhf.prompts import Prompts, left_padded, prompts_of, responses_of
from welltuned.tasks import chat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class GeneratorActor(Actor):
    """Answers prompts."""

    response_length: int
    prompt_length: int = 8
    """So many of the first tokens of a text without a prompt become one."""
    agrees: bool | None = None
    """Whether what was noted in sampling is what judging finds; None before the first batch."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.policy.tokenizer

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def ask(self, texts: Sequence[object]) -> Prompts:
        return self.prompts(self.policy.problem.codec.records_of(texts))

    def prompts(self, records: Records) -> Prompts:
        """The prompts of some records. Raises `InputError` when one has no token."""
        prompter, room = self.policy.problem.prompter, self.policy.max_length - self.response_length
        assert prompter is not None, "only a policy of texts has this actor"
        return prompts_of(prompter, self.tokenizer, records, room, self.prompt_length)

    def rollout(self, asked: Prompts, generator: torch.Generator) -> Rollout:
        """A response to each prompt, drawn from the policy."""
        said = self._say(asked, generator)
        rollout = self._judge_reference(self._as_rollout(asked, said))
        if self.agrees is None:
            self.agrees = self._compare(rollout)
        return rollout if self.agrees else self._judge_again(rollout)

    def judge(self, rollout: Rollout, rows: torch.Tensor, entropy: bool = False) -> TokenEstimates:
        inputs, columns = trimmed(rollout.inputs, rows)
        with self.resumed(rollout.states_of(rows, columns)), self.computing():
            found = token_scores(
                self.model,
                inputs["input_ids"],
                inputs["labels"],
                inputs["attention_mask"],
                inputs["position_ids"],
                self.temperature,
                entropy,
            )
        shape = rollout.mask_BT[rows].shape
        # Columns of the rollout, and then of its responses, which stand at the end.
        width = rollout.inputs["input_ids"].shape[1]
        places = found.rows_M, found.positions_M + columns.start - (width - shape[1])
        nothing_RT = found.logprobs_M.new_zeros(shape)
        values_M = self.value(found.hidden_MH)
        return TokenEstimates(
            nothing_RT.index_put(places, found.logprobs_M),
            nothing_RT.index_put(places, values_M),
            None if found.entropies_M is None else nothing_RT.index_put(places, found.entropies_M),
        )

    # --- Sampling ---

    def _say(self, asked: Prompts, generator: torch.Generator) -> SampledTokens:
        """Responses in the order of the prompts; prompts of like length are answered together."""
        order = sorted(range(len(asked)), key=lambda i: -len(asked.ids[i]))
        size = self.rows_at_once
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        said = [self._say_some(asked.take(part), generator) for part in parts]
        back_B = torch.tensor(order, device=self.device).argsort()
        width = max(part.tokens_RT.shape[1] for part in said)
        columns = zip(
            *((_wide(field, width) for field in vars(part).values()) for part in said), strict=True
        )
        return SampledTokens(*(torch.cat(column)[back_B] for column in columns))

    def _say_some(self, asked: Prompts, generator: torch.Generator) -> SampledTokens:
        ids, mask = left_padded(asked.ids, self.pad_id)
        with self.computing():
            return sample(
                self.model,
                self.value,
                torch.tensor(ids, device=self.device),
                torch.tensor(mask, device=self.device),
                self.response_length,
                chat.stop_ids(self.tokenizer),
                self.pad_id,
                self.temperature,
                generator,
            )

    def _as_rollout(self, asked: Prompts, said: SampledTokens) -> Rollout:
        """Prompts and responses as rows to judge: padded on both sides, positions counted."""
        prompts, shown = left_padded(asked.ids, self.pad_id)
        ids_BQ, mask_BQ = (torch.tensor(rows, device=self.device) for rows in (prompts, shown))
        mask_BN = torch.cat([mask_BQ, said.mask_RT.long()], dim=1)
        tokens_BT = said.tokens_RT.masked_fill(~said.mask_RT, self.pad_id)
        labels_BN = torch.cat([torch.full_like(ids_BQ, IGNORED), tokens_BT], dim=1)
        kept = zip(said.tokens_RT.tolist(), said.mask_RT.sum(dim=1).tolist(), strict=True)
        spoken = [tokens[:length] for tokens, length in kept]
        return Rollout(
            prompts=asked.texts,
            responses=responses_of(self.tokenizer, asked.ids, spoken),
            inputs={
                "input_ids": torch.cat([ids_BQ, tokens_BT], dim=1),
                "attention_mask": mask_BN,
                "position_ids": (mask_BN.cumsum(dim=1) - 1).clamp(min=0),
                "labels": labels_BN.masked_fill(mask_BN == 0, IGNORED),
            },
            actions_BT=tokens_BT,
            mask_BT=said.mask_RT,
            logprobs_BT=said.logprobs_RT,
            references_BT=torch.zeros_like(said.logprobs_RT),
            values_BT=said.values_RT,
            entropies_BT=said.entropies_RT,
            ended_B=said.ended_R,
        )

    # --- Judging ---

    @torch.no_grad()
    def _judge_reference(self, rollout: Rollout) -> Rollout:
        """The rollout with the reference's log-probabilities, and the states below what trains."""
        references_BT, kept = rollout.references_BT, []
        for rows in self._parts(rollout):
            columns = trimmed(rollout.inputs, rows)[1]
            with self.reference.acting(), self.noted() as noted:
                references_BT[rows] = self.judge(rollout, rows).logprobs_BT
            kept += [(rows, columns, states) for states in noted]
        states = assembled(kept, rollout.inputs["input_ids"].shape)
        return replace(rollout, references_BT=references_BT, states=states)

    @torch.no_grad()
    def _judge_again(self, rollout: Rollout) -> Rollout:
        """The rollout with the policy's log-probabilities and values as judging finds them."""
        logprobs_BT, values_BT = rollout.logprobs_BT.clone(), rollout.values_BT.clone()
        for rows in self._parts(rollout):
            judged = self.judge(rollout, rows)
            logprobs_BT[rows], values_BT[rows] = judged.logprobs_BT, judged.values_BT
        return replace(rollout, logprobs_BT=logprobs_BT, values_BT=values_BT)

    def _compare(self, rollout: Rollout) -> bool:
        """Whether sampling, with its cache, and judging give the same log-probabilities.

        In half precision they do not quite, and judging has the last word. Raises
        `RunFailed` when they differ by more than rounding.
        """
        again_BT = self._judge_again(rollout).logprobs_BT
        difference_BT = (again_BT - rollout.logprobs_BT).abs()
        if self.policy.precision == "fp32":
            error = float(difference_BT.max())
        else:
            error = float(difference_BT.sum() / rollout.mask_BT.sum())
        if not error <= self.tolerance:
            raise RunFailed(
                Fault(
                    "rlhf.sampling_differs",
                    "the policy's log-probabilities as recorded in sampling and as recomputed "
                    "differ by {error:.2g}, so nothing could be learned from them",
                    None,
                    "this is a bug in welltuned or in the model's code; please report it",
                    error=error,
                )
            )
        return self.policy.precision == "fp32"

    def _parts(self, rollout: Rollout) -> list[torch.Tensor]:
        rows_B = torch.arange(len(rollout), device=self.device)
        return by_length(rollout.inputs, rows_B, self.rows_at_once)


def _wide(tensor: torch.Tensor, width: int) -> torch.Tensor:
    """(R, T) with zeros up to `width` columns; (R,) as it is."""
    if tensor.ndim == 1:
        return tensor
    return torch.nn.functional.pad(tensor, (0, width - tensor.shape[1]))
