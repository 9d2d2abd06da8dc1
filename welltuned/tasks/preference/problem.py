"""Direct preference optimisation: a generator learns from compared answers, without a reward model.

The reward is implicit: how much likelier a response has become than it was for the
untuned model, times beta (Rafailov et al. 2023, arXiv 2305.18290). What the untuned
model makes of every response is noted once, before the first step. What results is an
ordinary generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.metrics import PairPredictions, Predictions, Scores
from welltuned.tasks import pairs, responses
from welltuned.tasks.base import Problem
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation import Generation, GenerationProblem
from welltuned.tasks.grouped import ResponseTarget
from welltuned.tasks.parts import Presenter, Scorer
from welltuned.tasks.preference.codec import ComparedCodec, answered
from welltuned.tasks.preference.objective import PreferenceObjective
from welltuned.tasks.responder import Responder
from welltuned.tasks.responses import Form

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from welltuned.tasks.preference.config import Preference

_PROVED = 30
"""Characters of prompt and response on which the saved model is compared with the trained one."""


@dataclass(frozen=True)
class PreferenceProblem(Problem):
    """Direct preference optimisation, with the form of examples known."""

    config: Preference
    form: Form

    type: ClassVar[str] = "preference"
    peft_task_type: ClassVar[str] = "CAUSAL_LM"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    has_new_head: ClassVar[bool] = False
    supports_replay: ClassVar[bool] = False

    @property
    def codec(self) -> ComparedCodec:
        return ComparedCodec(self.form, self.generation("plain").codec)

    @property
    def objective(self) -> PreferenceObjective:
        return PreferenceObjective(self.config)

    @property
    def scorer(self) -> ImplicitRewardScorer:
        return ImplicitRewardScorer(self.config.beta)

    @property
    def presenter(self) -> ImplicitRewardPresenter:
        return ImplicitRewardPresenter(self.config.beta)

    @property
    def responder(self) -> PromptResponder:
        return PromptResponder(self)

    def generation(self, style: Literal["chat", "plain"]) -> GenerationProblem:
        """What the tuned model is for."""
        config = self.config
        task = Generation(decoding=config.decoding, scored_examples=config.scored_examples)
        return GenerationProblem(task, style)

    def saved_as(
        self, tokenizer: PreTrainedTokenizerBase, records: Records
    ) -> tuple[Problem, Records]:
        generation = self.generation(responses.style_of(tokenizer, self.form))
        return generation, answered(records, generation.style, _PROVED)

    def to_dict(self) -> dict[str, JsonValue]:
        return {"type": self.type, "form": self.form, "config": self.config.model_dump(mode="json")}


def implicit_rewards(beta: float, outputs_NW: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """For each prompt, of each response (K): how much likelier it has become, times beta."""
    return [
        beta * (logprobs_W[: len(target.lengths_K)] - target.reference_K)
        for logprobs_W, target in zip(outputs_NW, targets, strict=True)
    ]


@dataclass(frozen=True)
class ImplicitRewardScorer(Scorer):
    """How implicit rewards order pairs."""

    beta: float

    @property
    def family(self) -> type[Predictions]:
        return PairPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> PairPredictions:
        """Their own means too: both may fall, for all that is asked is that the gap grows."""
        rewards = implicit_rewards(self.beta, outputs_NK, targets)
        return pairs.predictions(rewards, targets, pairs.means(rewards, targets))

    def baselines(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Scores]:
        """The longer response; and the one that the untuned model finds likelier."""
        likelier = [target.reference_K for target in targets]
        return {
            "longer": pairs.longer_wins(targets),
            "likelier": {"pair_accuracy": pairs.accuracy(likelier, targets)},
        }


@dataclass(frozen=True)
class ImplicitRewardPresenter(Presenter[ResponseTarget]):
    """One row a pair; a prompt that was answered has its answer in its first."""

    beta: float

    label: ClassVar[str] = "judged"

    def headline(self, facts: Mapping[str, Any]) -> str:
        return f"direct preference over {facts['pairs']['train']:,} pairs"

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, float]]:
        return [{"logprob": float(row[0])} for row in outputs_NK]

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: dict[str, Sequence[str]]
    ) -> Iterator[Mapping[str, object]]:
        assert examples.targets is not None
        rewards = implicit_rewards(self.beta, outputs_NK, examples.targets)
        return pairs.rows(rewards, examples.targets, examples.records, texts)

    def target_of(self, target: ResponseTarget) -> str | float | None:
        return pairs.target_in_words(target)

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        return {"prompt": records["prompt"][index], "responses": records["responses"][index]}

    def lines(self, records: Records, index: int) -> list[str]:
        return pairs.lines(records, index)


@dataclass(frozen=True)
class PromptResponder(Responder):
    """Answers prompts as the generator that results does."""

    problem: PreferenceProblem

    @property
    def number(self) -> int:
        return self.problem.config.scored_examples

    @property
    def max_new_tokens(self) -> int:
        return self.problem.config.decoding.max_new_tokens

    def decoding_as(self, **changes: float) -> PromptResponder:
        config = self.problem.config
        changed = type(config.decoding).model_validate({**config.decoding.model_dump(), **changes})
        problem = replace(self.problem, config=config.model_copy(update={"decoding": changed}))
        return replace(self, problem=problem)

    def reads_turns(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        return self._generation(tokenizer).responder.reads_turns(tokenizer)

    def respond(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        batch_size: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[str]:
        generation = self._generation(tokenizer)
        asked = answered(records, generation.style)
        return generation.responder.respond(
            model, tokenizer, asked, max_length, batch_size, progress
        )

    def cut(self, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int) -> np.ndarray:
        generation = self._generation(tokenizer)
        asked = answered(records, generation.style)
        return generation.responder.cut(tokenizer, asked, limit)

    def prompt_lengths(self, tokenizer: PreTrainedTokenizerBase, records: Records) -> np.ndarray:
        generation = self._generation(tokenizer)
        asked = answered(records, generation.style)
        return generation.responder.prompt_lengths(tokenizer, asked)

    def answer_length(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int
    ) -> int | None:
        generation = self._generation(tokenizer)
        asked = answered(records.take([0]), generation.style)
        return generation.responder.answer_length(model, tokenizer, asked, limit)

    def settle(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        self._generation(tokenizer).responder.settle(model, tokenizer)

    def stream(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        given: object,
        max_length: int,
        say: Callable[[str], object],
    ) -> str:
        responder = self._generation(tokenizer).responder
        return responder.stream(model, tokenizer, given, max_length, say)

    def _generation(self, tokenizer: PreTrainedTokenizerBase) -> GenerationProblem:
        return self.problem.generation(responses.style_of(tokenizer, self.problem.form))
