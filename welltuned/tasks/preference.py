"""DPO: direct preference optimisation, without a reward model.

The reward is implicit: how much likelier a response has become than it was for the
untuned model, times beta (Rafailov et al. 2023, arXiv 2305.18290). What the untuned
model makes of every response is noted once, before the first step. What results is an
ordinary generator.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data import preferences
from welltuned.data.encoding import IGNORED
from welltuned.data.load_splits import DataSplits
from welltuned.data.preferences import RECORD_ROLES
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults
from welltuned.schema.document import conflict
from welltuned.tasks import pairs, responses
from welltuned.tasks.base import Examples, Problem, Task
from welltuned.tasks.generation import Decoding, Generation, GenerationProblem, judge_tokens
from welltuned.tasks.responses import Form, Grouped

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.loading import Head
    from welltuned.tasks.base import Batch

_PROVED = 30
"""Characters of prompt and response on which the saved model is compared with the trained one."""


class Preference(Task):
    """Make preferred answers likelier than rejected ones."""

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES

    type: Literal["preference"] = "preference"
    form: Form = "auto"
    """How prompt and response become one text: through the chat template, or plain, one after
    the other. auto: through the template where the tokenizer has one."""
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    """sigmoid: DPO; ipo: a squared loss on mean log-probabilities, which stops pushing once
    the pair is far enough apart (Azar et al. 2023, arXiv 2310.12036)."""
    beta: float = Field(default=0.1, gt=0)
    """How closely the model is held to the one it starts from; smaller lets it go further."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """The chance that a judgement is wrong (conservative DPO)."""
    decoding: Decoding = Decoding()
    """How answers are generated in tests and predictions."""
    scored_examples: int = Field(default=20, ge=0)
    """So many test prompts are answered, before and after."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens of prompt and response together. auto: what the model takes, at most 512.
    The beginning of the prompt is cut first."""

    @model_validator(mode="after")
    def _consistent(self) -> Preference:
        if self.loss == "ipo" and self.label_smoothing:
            what = "'task.label_smoothing' goes with 'task.loss: sigmoid'"
            raise conflict(what, "set it to 0, or use sigmoid")
        return self

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return preferences.convert_preferences(table, columns, faults)

    def bind(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> PreferenceProblem | None:
        before = len(faults)
        if label_smoothing:
            what = "'training.label_smoothing_factor' goes with classification"
            faults.add(what, None, "use task.label_smoothing")
        for split in SPLITS:
            self._require_pairs(data[split], faults)
        form = pairs.form_of(self.form, data, faults)
        if form is None or len(faults) > before:
            return None
        data.facts.task = {"problem": "direct_preference", **pairs.facts_of(data)}
        return PreferenceProblem(self, form)

    def _require_pairs(self, records: Records, faults: Faults) -> None:
        if "pairs" not in records:
            what = "ratings do not say which of two responses is the better one"
            remedy = "give chosen and rejected, or use task reward"
            faults.add(what, records.place(0), remedy)
        elif self.loss == "ipo" and any(pair.margin for row in records["pairs"] for pair in row):
            what = "margins go with 'task.loss: sigmoid'"
            faults.add(what, records.place(0), "leave the column out, or use sigmoid")


@dataclass(frozen=True)
class PreferenceProblem(Problem):
    """Direct preference optimisation, with the form of examples known."""

    config: Preference
    form: Form

    type: ClassVar[str] = "preference"
    task: ClassVar[builtins.type[Task]] = Preference
    peft_task_type: ClassVar[str] = "CAUSAL_LM"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    supports_replay: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = True
    default_metric = "log_loss"
    metrics = ("pair_accuracy", "margin", "log_loss", "calibration_error")

    @property
    def answered(self) -> int:  # type: ignore[override]
        return self.config.scored_examples

    # --- Data ---

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        return self._generation("plain").head(base, pooling)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Grouped:
        """One row a response, its tokens labelled. Targets are what is known: `Judged`."""
        return responses.encode_responses(
            tokenizer, records, max_length, self.form, learned=True, progress=progress
        )

    def with_reference(self, examples: Examples, outputs_NK: np.ndarray) -> Examples:
        targets = np.empty(len(examples), dtype=object)
        assert examples.targets is not None
        for i, (target, logprobs_W) in enumerate(zip(examples.targets, outputs_NK, strict=True)):
            targets[i] = replace(target, reference_K=logprobs_W[: len(target.lengths_K)])
        return replace(examples, targets=targets)

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """`reference` (R): the untuned model's log-probabilities.

        Not numbers while they are not known, so that nothing is learned by mistake.
        """
        batch = responses.collate(examples, indices, pad_id)
        targets = [examples.targets[index] for index in indices]  # type: ignore[index]
        known = [
            np.full(len(t.lengths_K), np.nan) if t.reference_K is None else t.reference_K
            for t in targets
        ]
        return {**batch, "reference": np.concatenate(known).astype(np.float32)}

    def notes(self, examples: Examples) -> list[str]:
        return pairs.notes(examples)

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return pairs.read(records, faults)

    def records_of(self, inputs: Sequence[Any]) -> Records:
        return self._generation("plain").records_of(inputs)

    # --- Learning ---

    def count(self, batch: Batch) -> float:
        return float(batch["weights"].sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        ratios_R = self._logprobs(model, batch) - batch["reference"]
        better_Q, worse_Q = ratios_R[batch["pairs"]].unbind(dim=1)
        losses_Q = self._losses(better_Q - worse_Q, batch["margins"])
        return (batch["weights"] * losses_Q).sum()

    def _losses(self, ratios_Q: torch.Tensor, margins_Q: torch.Tensor) -> torch.Tensor:
        """Of log-ratios: by how much more the better response has gained than the worse one."""
        from torch.nn.functional import logsigmoid

        beta, doubt = self.config.beta, self.config.label_smoothing
        if self.config.loss == "ipo":
            return (ratios_Q - 1 / (2 * beta)).square()
        differences_Q = beta * ratios_Q - margins_Q
        return -(1 - doubt) * logsigmoid(differences_Q) - doubt * logsigmoid(-differences_Q)

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The log-probability of each prompt's responses (B, W); 0 where there is none."""
        return responses.in_grid(self._logprobs(model, batch), batch["grid"])

    def _logprobs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The log-probability of each row's response (R): its tokens' sum, for ipo their mean."""

        def compute(rows: Batch) -> torch.Tensor:
            found = judge_tokens(model, rows)
            sums_R = found.losses_M.new_zeros(len(rows["input_ids"]))
            return sums_R.index_add(0, found.rows_M, -found.losses_M)

        names = ("input_ids", "attention_mask", "labels")
        logprobs_R = responses.read_rows(compute, {name: batch[name] for name in names})
        if self.config.loss == "ipo":
            tokens_R = (batch["labels"][:, 1:] != IGNORED).sum(dim=1)
            return logprobs_R / tokens_R.clamp(min=1)
        return logprobs_R

    # --- Judging ---

    def score(
        self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        """How implicit rewards order pairs.

        Their own means too: both may fall, for all that is asked is that the gap grows.
        """
        rewards = self._rewards(outputs_NK, targets)
        return pairs.score(rewards, targets, intervals) | pairs.means(rewards, targets)

    def _rewards(self, outputs_NW: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        return [
            self.config.beta * (logprobs_W[: len(target.lengths_K)] - target.reference_K)
            for logprobs_W, target in zip(outputs_NW, targets, strict=True)
        ]

    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        return {}

    def baselines(
        self, train_targets: np.ndarray, targets: np.ndarray
    ) -> dict[str, dict[str, Any]]:
        """The longer response; and the one that the untuned model finds likelier."""
        likelier = [target.reference_K for target in targets]
        return {
            "longer": pairs.longer_wins(targets),
            "likelier": {"pair_accuracy": pairs.accuracy(likelier, targets)},
        }

    def respond(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        batch_size: int,
    ) -> list[str]:
        generation = self._generation(responses.style_of(tokenizer, self.form))
        asked = _answered(records, generation.style)
        return generation.respond(model, tokenizer, asked, max_length, batch_size)

    # --- Telling ---

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        return [{"logprob": float(row[0])} for row in outputs_NK]

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: dict[str, Sequence[str]]
    ) -> Iterator[dict[str, Any]]:
        """One row a pair; a prompt that was answered has its answer in its first."""
        records, targets = examples.records, examples.targets
        assert targets is not None
        rewards = self._rewards(outputs_NK, targets)
        return pairs.rows(rewards, targets, records, texts)

    def target_of(self, target: Any) -> Any:
        return pairs.target_in_words(target)

    def shown(self, records: Records, index: int) -> dict[str, Any]:
        return {"prompt": records["prompt"][index], "responses": records["responses"][index]}

    def lines(self, records: Records, index: int) -> list[str]:
        return pairs.lines(records, index)

    # --- Remembering ---

    def _generation(self, style: Literal["chat", "plain"]) -> GenerationProblem:
        """What the tuned model is for."""
        config = self.config
        return GenerationProblem(
            Generation(decoding=config.decoding, scored_examples=config.scored_examples), style
        )

    def saved_as(
        self, tokenizer: PreTrainedTokenizerBase, records: Records
    ) -> tuple[Problem, Records]:
        generation = self._generation(responses.style_of(tokenizer, self.form))
        return generation, _answered(records, generation.style, _PROVED)

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.type, "form": self.form, "config": self.config.model_dump(mode="json")}


def _answered(records: Records, style: str, limit: int | None = None) -> Records:
    """Prompts with their first preferred response, as generation reads them.

    With a limit, only the last characters of a prompt and the first of a response.
    """
    columns: dict[str, list[Any]] = {"text": [], "messages": [], "prompt": [], "completion": []}
    for i, said in enumerate(records["responses"]):
        turns, prompt = responses.conversation(records, i), records["prompt"][i]
        answer = said[records["pairs"][i][0].winner][:limit]
        if limit is not None:
            prompt = prompt[-limit:]
            turns = [{"role": "user", "content": prompt}]
        answered = [*turns, {"role": "assistant", "content": answer}]
        row = (prompt, answered if style == "chat" else None, prompt, answer)
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    return Records(records.source, columns, records.lines, ("text",))
