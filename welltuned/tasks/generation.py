"""Text generation: instruction and chat tuning of causal language models, and continuation."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from welltuned.data import conversations
from welltuned.data.encoding import IGNORED, pad
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.metrics.intervals import RESAMPLES, percentile_interval
from welltuned.schema.document import Part
from welltuned.tasks import chat
from welltuned.tasks.base import Examples, Problem, Task

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.language_head import TokenLosses
    from welltuned.models.loading import Head
    from welltuned.tasks.base import Batch

_UNLIMITED = 2**31
_SAMPLE = 32
"""Tokens of the text on which the short cut to the loss is checked."""

Style = Literal["chat", "plain"]
"""Whether examples go through the tokenizer's chat template, or stand as they are."""


class Decoding(Part):
    """How text is generated. Everything is explicit, and saved with the model."""

    max_new_tokens: int = Field(default=128, ge=1)
    """The longest answer, in tokens."""
    temperature: float = Field(default=0.0, ge=0)
    """0 always takes the likeliest token; higher values draw more freely."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """When drawing: only from the likeliest tokens that together have this probability."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Above 1, tokens that have occurred become less likely."""
    num_beams: int = Field(default=1, ge=1)
    """Beams of the search; 1 is greedy."""

    def options(self, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """The same as `generate` of transformers takes it."""
        options: dict[str, Any] = {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": self.temperature > 0,
            "repetition_penalty": self.repetition_penalty,
            "num_beams": self.num_beams,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": chat.stop_ids(tokenizer),
        }
        if self.temperature > 0:
            options |= {"temperature": self.temperature, "top_p": self.top_p, "top_k": 0}
        return options


class Generation(Task):
    """Answer, or go on with a text."""

    roles: ClassVar[tuple[Role, ...]] = (
        Role("text", ("text",), is_input=True),
        Role("messages", ("messages",), required=False),
        Role("prompt", ("prompt",), required=False),
        Role("completion", ("completion",), required=False),
        Role("id", ("id",), required=False),
        Role("group", ("group",), required=False),
    )

    type: Literal["generation"] = "generation"
    format: Literal["auto", "alpaca", "sharegpt", "messages", "completion", "text"] = "auto"
    """How examples are written. auto: found from the columns."""
    train_on: Literal["assistant", "last", "all"] = "assistant"
    """Whose words are learned: every turn of the assistant, its last one, or everything."""
    long_texts: Literal["split", "cut"] = "split"
    """What happens to plain texts longer than `max_length`: several rows, or the end is lost."""
    packing: bool = False
    """Put several short examples into one row; none of them sees another."""
    decoding: Decoding = Decoding()
    """How answers are generated in tests and predictions."""
    scored_examples: int = Field(default=100, ge=0)
    """So many test examples are answered and compared with their references."""
    metrics: tuple[str, ...] = Field(default=(), examples=[["mine.metrics.rouge"]])
    """Further scores of answers: functions `(predictions, references)` by import path."""

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return conversations.convert_conversations(table, columns, faults, self.format)

    def bind(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> GenerationProblem | None:
        if label_smoothing:
            what = "'training.label_smoothing_factor' goes with classification"
            faults.add(what, None, "set it to 0")
            return None
        styles = {style for split in SPLITS for style in _styles(data[split])}
        if len(styles) > 1:
            what = "some examples are conversations and others are plain text"
            faults.add(what, Place(data.train.source), "give one kind in all splits")
            return None
        data.facts.task = {"problem": "generation", "style": next(iter(styles))}
        return GenerationProblem(self, next(iter(styles)))


def _styles(records: Records) -> set[Style]:
    return {"plain" if messages is None else "chat" for messages in records["messages"]}


@dataclass(frozen=True)
class GenerationProblem(Problem):
    """Generation, with the style of examples known."""

    config: Generation
    style: Style

    type: ClassVar[str] = "generation"
    task: ClassVar[builtins.type[Task]] = Generation
    peft_task_type: ClassVar[str] = "CAUSAL_LM"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    default_metric = "loss"
    metrics = ("loss", "perplexity", "token_accuracy")

    @property
    def answered(self) -> int:  # type: ignore[override]
        return self.config.scored_examples

    @property
    def max_new_tokens(self) -> int:  # type: ignore[override]
        return self.config.decoding.max_new_tokens

    # --- Data ---

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """As the task does, but questions without answers will do."""
        return conversations.convert_conversations(
            table, columns, faults, self.config.format, answers=False
        )

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForCausalLM

        from welltuned.models.anatomy import kind_of
        from welltuned.models.loading import Head

        if kind_of(base) == "encoder":
            what = f"'{base.model_type}' is an encoder and cannot generate text"
            raise InputError(Fault(what, None, "use a decoder such as Llama, Qwen or GPT-2"))
        return Head(AutoModelForCausalLM, base, new=False)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        """Targets (N): how many tokens of each example are learned.

        An example without any, such as one whose prompt fills `max_length`, is left out.
        """
        if self.style == "chat":
            chat.ensure_template(tokenizer)
        rendered = [self._render(tokenizer, records, i) for i in range(len(records))]
        splits = self._splits_texts(records)
        encoded = chat.tokenise_chat(
            tokenizer, rendered, _UNLIMITED if splits else max_length, progress
        )
        if splits:
            encoded, texts = chat.windows(encoded, max_length)
            records = records.take(texts)
        trained = chat.trained_tokens(encoded)
        kept = np.flatnonzero(trained).tolist()
        return Examples(encoded.take(kept), trained[kept], records.take(kept))

    def _splits_texts(self, records: Records) -> bool:
        """Only texts that go on by themselves: an answer without its question teaches nothing."""
        plain = self.style == "plain" and not any(records["prompt"])
        return plain and self.config.long_texts == "split"

    def notes(self, examples: Examples) -> list[str]:
        texts = len(set(examples.records.lines))
        if texts == len(examples):
            return []
        return [f"{texts:,} texts became {len(examples):,} rows, for some are long"]

    def pack(self, examples: Examples, max_length: int) -> Examples:
        if not self.config.packing:
            return examples
        encoded, packs = chat.pack(examples.encoded, max_length)
        records, targets = examples.records, examples.targets
        assert targets is not None
        columns = {
            "text": ["\n".join(records["text"][i] for i in pack) for pack in packs],
            "id": [" + ".join(records.id(i) for i in pack) for pack in packs],
        }
        lines = [records.lines[pack[0]] for pack in packs]
        packed = Records(records.source, columns, lines, ("text",))
        return Examples(encoded, np.array([targets[pack].sum() for pack in packs]), packed)

    def _render(
        self, tokenizer: PreTrainedTokenizerBase, records: Records, index: int
    ) -> chat.Rendered:
        if self.style == "chat":
            turns, place = records["messages"][index], records.place(index)
            return chat.render_chat(tokenizer, turns, self.config.train_on, place)
        prompt, completion = records["prompt"][index], records["completion"][index]
        return chat.render_plain(tokenizer, prompt, completion, self.config.train_on)

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        return pad(examples.encoded, indices, pad_id)

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Texts, or lists of messages, as questions without answers."""
        number = len(inputs)
        messages = [
            [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
            for given in inputs
        ]
        plain = self.style == "plain"
        columns: dict[str, list[Any]] = {
            "text": [turns[-1]["content"] for turns in messages],
            "messages": [None] * number if plain else messages,
            "prompt": [turns[-1]["content"] for turns in messages] if plain else [None] * number,
            "completion": [None] * number,
        }
        return Records("texts", columns, list(range(1, number + 1)), ("text",))

    # --- Learning ---

    def count(self, batch: Batch) -> float:
        return float((batch["labels"][:, 1:] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        return judge_tokens(model, batch).losses_M.sum()

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Per example: the summed loss, the tokens it was summed over, how many were foreseen."""
        found = judge_tokens(model, batch)
        facts_M3 = found.losses_M.new_ones(len(found.losses_M), 3)
        facts_M3[:, 0], facts_M3[:, 2] = found.losses_M, found.hits_M.float()
        facts_B3 = facts_M3.new_zeros(len(batch["input_ids"]), 3)
        return facts_B3.index_add(0, found.rows_M, facts_M3)

    # --- Judging ---

    def score(
        self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        """Loss and perplexity per token, and how often the likeliest token was the right one."""
        scores: dict[str, Any] = _per_token(outputs_NK.sum(axis=0, dtype=np.float64))
        if intervals:
            random, number = np.random.default_rng(0), len(outputs_NK)
            draws_RN = random.integers(0, number, (RESAMPLES, number))
            drawn = [
                _per_token(outputs_NK[rows].sum(axis=0, dtype=np.float64)) for rows in draws_RN
            ]
            for name in list(scores):
                values_R = np.array([draw[name] for draw in drawn])
                scores[f"{name}_ci95"] = percentile_interval(values_R)
        return scores

    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        return {}

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        return [
            {"loss": float(loss / max(count, 1)), "tokens": int(count)}
            for loss, count, _ in outputs_NK
        ]

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return np.zeros(len(records), dtype=np.int64)

    def target_of(self, target: Any) -> Any:
        return int(target)

    def respond(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        batch_size: int,
    ) -> list[str]:
        """One answer a record, in order."""
        prompts = [self.question(tokenizer, records, i) for i in range(len(records))]
        answers: list[str] = []
        for start in range(0, len(prompts), batch_size):
            part = prompts[start : start + batch_size]
            answers += self._generate(model, tokenizer, part, max_length)
        return answers

    def _generate(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompts: list[str], limit: int
    ) -> list[str]:
        import torch

        batch = self.prompt_batch(tokenizer, prompts, limit).to(next(model.parameters()).device)
        with torch.inference_mode():
            ids_BT = model.generate(**batch, **self.config.decoding.options(tokenizer))  # type: ignore[operator]
        new_BT = ids_BT[:, batch["input_ids"].shape[1] :]
        return [text.strip() for text in tokenizer.batch_decode(new_BT, skip_special_tokens=True)]

    def stream(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        given: Any,
        max_length: int,
        say: Callable[[str], object],
    ) -> str:
        """Answer one text or list of messages, handing on each piece of text as it comes."""
        import torch

        records = self.records_of([given])
        prompt = self.question(tokenizer, records, 0)
        batch = self.prompt_batch(tokenizer, [prompt], max_length)
        batch = batch.to(next(model.parameters()).device)
        options = {**self.config.decoding.options(tokenizer), "num_beams": 1}
        with torch.inference_mode():
            ids_1T = model.generate(**batch, **options, streamer=_streamer(tokenizer, say))  # type: ignore[operator]
        new_T = ids_1T[0, batch["input_ids"].shape[1] :]
        return str(tokenizer.decode(new_T, skip_special_tokens=True)).strip()

    def prompt_batch(
        self, tokenizer: PreTrainedTokenizerBase, prompts: list[str], limit: int
    ) -> Any:
        """Prompts as `generate` reads them: padded and, when too long, cut on the left."""
        room = max(1, limit - self.config.decoding.max_new_tokens)
        sides = tokenizer.padding_side, tokenizer.truncation_side
        tokenizer.padding_side = tokenizer.truncation_side = "left"
        try:
            return tokenizer(
                prompts,
                padding=True,
                truncation=True,
                max_length=room,
                add_special_tokens=self.style == "plain",
                return_token_type_ids=False,
                return_tensors="pt",
            )
        finally:
            tokenizer.padding_side, tokenizer.truncation_side = sides

    def question(self, tokenizer: PreTrainedTokenizerBase, records: Records, index: int) -> str:
        """The text to answer: everything before the last answer."""
        if self.style == "chat":
            return chat.prompt_of(tokenizer, records["messages"][index])[0]
        # A file of plain texts without answers holds beginnings to go on from.
        return str(records["prompt"][index] or records["completion"][index] or "")

    def _reference(self, records: Records, index: int) -> str | None:
        """The example's own answer, None where it ends with a question."""
        if self.style == "plain":
            completion = records["completion"][index]
            return None if completion is None else completion.strip()
        last = records["messages"][index][-1]
        return last["content"].strip() if last["role"] == "assistant" else None

    def score_responses(
        self, responses: Sequence[str], records: Records, intervals: bool = False
    ) -> dict[str, Any]:
        from welltuned.metrics.text import score_text

        references = [self._reference(records, i) for i in range(len(responses))]
        asked = [self.style == "chat" or bool(prompt) for prompt in records["prompt"]]
        # A text made up out of nothing has no right answer to be compared with.
        pairs = [(responses[i], right) for i, right in enumerate(references) if right and asked[i]]
        if not pairs:
            return {}
        predictions, answers = zip(*pairs, strict=True)
        return score_text(predictions, answers, intervals, self.config.metrics)

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: dict[str, Sequence[str]]
    ) -> Iterator[dict[str, Any]]:
        records = examples.records
        for i, row in enumerate(self.describe(outputs_NK)):
            said = {name: answers[i] for name, answers in texts.items() if i < len(answers)}
            if said:
                said = {"reference": self._reference(records, i) or "", **said}
            yield {"id": records.id(i), **row, **self.shown(records, i), **said}

    def shown(self, records: Records, index: int) -> dict[str, Any]:
        if self.style == "plain":
            return {"prompt": records["prompt"][index]}
        turns = records["messages"][index]
        last = len(turns) - 1 if turns[-1]["role"] == "assistant" else len(turns)
        return {"prompt": "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns[:last])}

    # --- Remembering ---

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "style": self.style,
            "config": self.config.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, memory: dict[str, Any]) -> GenerationProblem:
        return cls(Generation.model_validate(memory["config"]), memory["style"])


def _streamer(tokenizer: PreTrainedTokenizerBase, say: Callable[[str], object]) -> Any:
    from transformers import TextStreamer

    class Streamer(TextStreamer):
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            say(text)

    return Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)


_NEEDS_ALL_LOGITS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Models whose logits are more than their output layer's, as found on their first batch."""


def judge_tokens(model: nn.Module, batch: Batch) -> TokenLosses:
    """The loss of every labelled token, without the full logits where the model allows it."""
    from welltuned.models.language_head import check_head, token_losses

    if model not in _NEEDS_ALL_LOGITS:
        sample = {name: tensor[:1, :_SAMPLE] for name, tensor in _inputs(batch).items()}
        del sample["labels"]
        _NEEDS_ALL_LOGITS[model] = not check_head(model, **sample)
    inputs: dict[str, Any] = {**_inputs(batch)}
    return token_losses(model, full=_NEEDS_ALL_LOGITS[model], **inputs)


def _inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """What the model reads. Packed rows go without a mask: their positions tell texts apart."""
    if "position_ids" in batch:
        return {name: tensor for name, tensor in batch.items() if name != "attention_mask"}
    return batch


def _per_token(sums_3: np.ndarray) -> dict[str, float]:
    loss, count, hits = (float(value) for value in sums_3)
    mean = loss / max(count, 1.0)
    return {
        "loss": mean,
        "perplexity": math.exp(min(mean, 700.0)),
        "token_accuracy": hits / max(count, 1.0),
    }
