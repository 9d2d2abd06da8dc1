"""Language model as policy: the state is the text so far, the action its next token.

Passes of the trunk for a batch that is learned from E times: one to sample, with the cache,
which gives log-probabilities and values too; one for the reference; E to learn. Blocks below
everything that trains run while sampling alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED
from welltuned.errors import Fault, RunFailed
from welltuned.models.language_head import token_scores
from welltuned.rlhf.actors.base import Actor, Rollout, TokenEstimates, assembled, by_length, trimmed
from welltuned.rlhf.actors.sampling import SampledTokens, joined, sample
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
        said, states = self._say(asked, generator)
        rollout = self._judge_reference(self._as_rollout(asked, said, states))
        if self.agrees is None:
            self.agrees = self._compare(rollout)
        return rollout if self.agrees else self._judge_again(rollout)

    def judge(self, rollout: Rollout, rows: torch.Tensor, entropy: bool = False) -> TokenEstimates:
        inputs, columns = trimmed(rollout.inputs, rows)
        with self.resumed(rollout.states_of(rows, _but_last(columns))), self.computing():
            found = token_scores(
                self.model,
                inputs["input_ids"][:, :-1],
                inputs["labels"],
                inputs["attention_mask"][:, :-1],
                inputs["position_ids"][:, :-1],
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

    def _say(
        self, asked: Prompts, generator: torch.Generator
    ) -> tuple[SampledTokens, torch.Tensor | None]:
        """Responses, and states (B, N, H) of prompts and responses below what trains.

        Prompts of like length are answered together, adapters being merged meanwhile.
        """
        shape = len(asked), self.response_length
        draws_BT = torch.rand(shape, dtype=torch.float64, generator=generator).to(self.device)
        said, kept = SampledTokens.none(draws_BT), []
        order = sorted(range(len(asked)), key=lambda i: -len(asked.ids[i]))
        longest = len(asked.ids[order[0]])
        with self.policy.strategy.merged_for_inference(self.model):
            for rows_R in torch.tensor(order, device=self.device).split(self.rows_at_once):
                states_RNH = self._say_some(asked, rows_R, draws_BT, said)
                if states_RNH is not None:
                    first = longest - len(asked.ids[int(rows_R[0])])
                    kept.append((rows_R, slice(first, first + states_RNH.shape[1]), states_RNH))
        said = said.trimmed()
        return said, assembled(kept, torch.Size((len(asked), longest + said.mask_BT.shape[1])))

    def _say_some(
        self, asked: Prompts, rows_R: torch.Tensor, draws_BT: torch.Tensor, said: SampledTokens
    ) -> torch.Tensor | None:
        """Say some responses; returns their states (R, N, H), where judging can use them.

        In half precision it cannot: there sampling and judging do not quite agree.
        """
        ids, mask = self._padded([asked.ids[i] for i in rows_R.tolist()])
        with self.computing(), self.noted() as noted:
            sample(
                self.model,
                self.value,
                ids,
                mask,
                draws_BT,
                chat.stop_ids(self.tokenizer),
                self.temperature,
                said,
                rows_R,
            )
        if not noted or self.policy.precision != "fp32":
            return None
        return joined(noted, said.mask_BT[rows_R])

    def _padded(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and mask (R, Q)."""
        ids, mask = left_padded(rows, self.pad_id)
        return torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device)

    def _as_rollout(
        self, asked: Prompts, said: SampledTokens, states_BNH: torch.Tensor | None
    ) -> Rollout:
        """Prompts and responses as rows to judge: padded on both sides, positions counted."""
        ids_BQ, mask_BQ = self._padded(asked.ids)
        mask_BN = torch.cat([mask_BQ, said.mask_BT.long()], dim=1)
        tokens_BT = said.tokens_BT.masked_fill(~said.mask_BT, self.pad_id)
        labels_BN = torch.cat([torch.full_like(ids_BQ, IGNORED), tokens_BT], dim=1)
        kept = zip(said.tokens_BT.tolist(), said.mask_BT.sum(dim=1).tolist(), strict=True)
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
            mask_BT=said.mask_BT,
            logprobs_BT=said.logprobs_BT,
            references_BT=torch.zeros_like(said.logprobs_BT),
            values_BT=said.values_BT,
            entropies_BT=said.entropies_BT,
            ended_B=said.ended_B,
            states=states_BNH,
            columns=asked.columns,
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
            kept += [(rows, _but_last(columns), states) for states in noted]
        if rollout.states is not None:  # by sampling
            return rollout
        return replace(rollout, states=assembled(kept, rollout.inputs["input_ids"].shape))

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
        again_BT = self._judge_again(replace(rollout, states=None)).logprobs_BT
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


def _but_last(columns: slice) -> slice:
    """The columns that judging reads: nothing is predicted from the last."""
    return slice(columns.start, columns.stop - 1)
