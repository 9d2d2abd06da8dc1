"""The config of text generation: instruction and chat tuning, and continuation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from welltuned.data.layouts import conversations
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.schema.import_path import RunsCode
from welltuned.tasks.base import Actions, Problem, Task, is_smoothed
from welltuned.tasks.generation.codec import ROLES, Style
from welltuned.tasks.generation.decoding import Decoding
from welltuned.tasks.generation.problem import GenerationProblem
from welltuned.tasks.generation.seq2seq import Seq2SeqProblem
from welltuned.tasks.responder import ScoredExamples

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Generation(Task):
    """Text generation: instruction and chat tuning, or continuation."""

    roles: ClassVar[tuple[Role, ...]] = ROLES
    actions: ClassVar[Actions | None] = "text"
    proposed_kind: ClassVar[Literal["encoder", "decoder"]] = "decoder"

    type: Literal["generation"] = "generation"
    format: Literal["auto", "alpaca", "sharegpt", "messages", "completion", "text"] = "auto"
    """The format of examples. auto: detected from the columns."""
    train_on: Literal["assistant", "last", "all"] = "assistant"
    """What the loss is computed on: every turn of the assistant, its last one, or everything. Of an
    encoder-decoder each turn that is learned is a response to all before it."""
    long_texts: Literal["split", "cut"] = "split"
    """What happens to plain texts longer than `max_length`: split into rows, or truncated."""
    packing: bool = False
    """Sequence packing: several short examples in one row; none attends to another."""
    decoding: Decoding = Decoding()
    """How answers are generated in tests and predictions."""
    scored_examples: ScoredExamples = "auto"
    """How many test examples are answered and compared with their references: the first so many.
    auto: all, or as many of them, drawn at random, as `evaluation.answering_time` allows."""
    metrics: tuple[Annotated[str, RunsCode()], ...] = Field(
        default=(), examples=[["mine.metrics.rouge"]]
    )
    """Additional metrics of answers: functions `(predictions, references)` by import path."""

    @property
    def shares_rows(self) -> bool:
        return self.packing

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return conversations.convert_conversations(table, columns, faults, self.format)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> GenerationProblem | None:
        if is_smoothed(label_smoothing, faults):
            return None
        styles = {style for split in SPLITS for style in _styles(data[split])}
        if len(styles) > 1:
            faults.add(
                "task.mixed_styles",
                "some examples are conversations and others are plain text",
                Place(data.train.source),
                "use the same kind of example in all splits",
            )
            return None
        data.facts.task = {"problem": "generation", "style": next(iter(styles))}
        return GenerationProblem(self, next(iter(styles)))

    def for_family(self, problem: Problem, base: PreTrainedConfig) -> Problem:
        from welltuned.models.anatomy import is_encoder_decoder

        if not is_encoder_decoder(base) or not isinstance(problem, GenerationProblem):
            return problem
        for fault in self._beyond_seq2seq():
            raise InputError(fault)
        return Seq2SeqProblem(self, problem.style)

    def _beyond_seq2seq(self) -> Iterator[Fault]:
        """What is asked for that an encoder-decoder cannot do."""
        asked = {"packing: true": self.packing, "train_on: all": self.train_on == "all"}
        reasons = {
            "packing: true": "its encoder would read all prompts of a row for each response",
            "train_on: all": "its encoder reads the prompt and foresees none of it",
        }
        for key in (key for key, is_asked in asked.items() if is_asked):
            yield Fault(
                "task.key_of_decoders",
                "'task.{key}' does not support an encoder-decoder: {reason}",
                None,
                "remove it",
                key=key,
                reason=reasons[key],
            )

    @classmethod
    def restore(cls, memory: Mapping[str, Any]) -> GenerationProblem:
        config, style = cls.model_validate(memory["config"]), memory["style"]
        kind = Seq2SeqProblem if memory.get("encoder") else GenerationProblem
        return kind(config, style)


def _styles(records: Records) -> set[Style]:
    return {"plain" if messages is None else "chat" for messages in records["messages"]}
