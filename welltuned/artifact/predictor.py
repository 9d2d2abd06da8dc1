"""Inference with a tuned model: `wt.load(run).predict([...])`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from heapq import merge
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from welltuned.artifact.answers import (
    Row,
    empty_row,
    refused_row,
    require_finite_outputs,
    scored_rows,
    withheld_row,
)
from welltuned.artifact.given import WINDOW, Reader, in_parts, require_all_read
from welltuned.artifact.manifest import find_artifact
from welltuned.artifact.refusals import no_rewards, no_text, nothing_to_score, unequal_numbers
from welltuned.artifact.replicas import replicas_of, shares_weights
from welltuned.artifact.save_load import Artifact, load_artifact
from welltuned.artifact.side_by_side import predict_side_by_side
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.inputs import Inputs, read_inputs
from welltuned.data.load_splits import collect_file
from welltuned.data.records import Records, question_roles
from welltuned.engines.device import autocast, choose_device
from welltuned.engines.memory_faults import lower, telling_memory
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.evaluation.predict import computing_device
from welltuned.metrics import METRICS
from welltuned.runs import Run
from welltuned.schema.import_path import require_allowed
from welltuned.tasks import Examples, Problem, Responder

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Given = Iterable[Any] | Mapping[str, Any]
"""Inputs: a text or several, dicts by column names, or a DataFrame."""

_TOKENS = 2048
"""Of a batch on a CPU, padding included. MiniLM takes as long for each token of 1,024 to 4,096, and
a tenth to a fifth longer from 8,192, when they no longer fit into the processor's cache."""
_MUCH = 16 * _TOKENS
"""Tokens of texts from which on replicas are loaded: that takes as long as some batches."""


class Predictor:
    """A tuned model, ready for inference.

    All that it does with texts is the same for an exported model, whose `model` is a graph in
    another runtime.
    """

    def __init__(
        self,
        artifact: Artifact,
        run_folder: Path | None = None,
        again: Callable[[], Artifact] | None = None,
    ) -> None:
        """`again` loads the artifact once more, for `replicas`."""
        self._artifact = artifact
        self._run_folder = run_folder
        self._again = again

    @classmethod
    def load(
        cls,
        run: Run | str | PathLike[str],
        device: str = "auto",
        merge: bool = True,
        quantized: bool = True,
    ) -> Predictor:
        """From a run, its folder, or a bare model folder.

        With `merge` an adapter is merged into the weights where these can hold it: answers come
        faster, and differ by rounding. A base that was `quantized` for training is so again unless
        that is told off; only then it can be merged. Raises `InputError` when it is none of these.
        """
        folder = find_artifact(run)

        def again() -> Artifact:
            artifact = load_artifact(folder, choose_device(device), quantized=quantized)
            return artifact.merged() if merge else artifact

        return cls(again(), folder.resolve().parent, again)

    @property
    def problem(self) -> Problem:
        return self._artifact.problem

    @property
    def model(self) -> nn.Module:
        """The model itself, for direct use."""
        return self._artifact.model

    @property
    def device(self) -> torch.device:
        return computing_device(self._artifact.model)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self._artifact.tokenizer

    @cached_property
    def replicas(self) -> list[Predictor]:
        """Others that answer alike and share the weights, each for a thread of its own.

        As many as make answers faster on this machine's cores; none where they would not.
        """
        return [Predictor(one) for one in replicas_of(self._artifact, self._again)]

    def predict(self, texts: Given, batch_size: int = 64) -> list[Row]:
        """One row an input, in order; one text is one input.

        Takes texts (or whatever the task reads, such as pairs) in a list, tuple or iterator; dicts
        by column names, one a row or a list a column; or a DataFrame. Each row holds `id` and
        `prediction`, and `probabilities` by label where there are labels. Where an input is empty,
        or the model unsure, that is None with its `reason`; `cut` is true where the end was unread.

        Raises `InputError` for what cannot be read, all of it at once.
        """
        read = self._reader.read(self._reader.unpack(texts))
        require_all_read(read)
        return [row for part in read for _, row in self.rows(part, batch_size)]

    def stream(self, texts: Given, batch_size: int = 64) -> Iterator[Row]:
        """As `predict`, but streaming: reads a batch, predicts, reads on, soon some batches ahead.

        With `batch_size=1` each text is answered before the next is read.
        """
        start = 1
        for batch in in_parts(self._reader.unpack(texts), batch_size):
            read = self._reader.read(batch, start=start)
            require_all_read(read)
            for part in read:
                yield from (row for _, row in self.rows(part, batch_size))
            start += len(batch)

    def answer_all(
        self, parts: Iterable[Sequence[object]], source: str, batch_size: int = 64
    ) -> Iterator[tuple[object, Row]]:
        """Each input with its row, in order; a `Fault` among them, and what cannot be read, too.

        Inputs come in `parts`, each answered before the next is read, from `source`, for their ids.
        """
        start = 1
        for given in parts:
            for part in self._reader.read(given, source, start):
                yield from self.rows(part, batch_size, given, start)
            start += len(given)

    def rows(
        self, inputs: Inputs, batch_size: int = 64, given: Sequence[object] = (), start: int = 1
    ) -> Iterator[tuple[object, Row]]:
        """Each input as it is shown, with its row, in order of lines.

        `given` are the inputs as they came, numbered from `start`, to show where they are no
        records.
        """
        refused = (
            (_line(fault), _at(given, _line(fault) - start), refused_row(fault))
            for fault in sorted(inputs.refused, key=_line)
        )
        answered = self._answered(inputs.records, batch_size) if inputs.records else iter(())
        for _, asked, row in merge(answered, refused, key=itemgetter(0)):
            yield asked, row

    def _answered(self, records: Records, batch_size: int) -> Iterator[tuple[int, object, Row]]:
        """(line, what was asked, row) of each record."""
        presenter = self.problem.presenter
        # Text is written batch by batch, so that none waits for the others of its window.
        size = batch_size * (WINDOW if self.problem.responder is None else 1)
        for start in range(0, len(records), size):
            part = records.take(range(start, min(start + size, len(records))))
            for i, row in enumerate(self.answer(part, batch_size)):
                shown = list(presenter.shown(part, i).values())
                yield part.lines[i], shown[0] if len(shown) == 1 else tuple(shown), row

    def answer(self, records: Records, batch_size: int = 64) -> list[Row]:
        """One row a record, in order."""
        empty = [records.empty_roles(i) for i in range(len(records))]
        full = [i for i, roles in enumerate(empty) if not roles]
        found = map(withheld_row, self._full_rows(records.take(full), batch_size) if full else ())
        return [
            empty_row(records.id(i), roles) if roles else {"id": records.id(i), **next(found)}
            for i, roles in enumerate(empty)
        ]

    def _full_rows(self, records: Records, batch_size: int) -> list[Row]:
        """One row a record that has a text."""
        artifact = self._artifact
        if (responder := self.problem.responder) is not None:
            responses = self._responses(responder, records, batch_size)
            rows: Sequence[Row] = [{"prediction": response} for response in responses]
            cut = responder.cut(artifact.tokenizer, records, artifact.max_length)
        else:
            examples = self._encode(records)
            outputs = self._outputs(examples, batch_size)
            rows, cut = self.problem.presenter.answers(outputs, records), examples.cut
        return [
            {**row, "cut": True} if short else row for row, short in zip(rows, cut, strict=True)
        ]

    def _responses(self, responder: Responder, records: Records, batch_size: int) -> list[str]:
        one, limit = self._artifact, self._artifact.max_length
        with self._telling_memory(batch_size), one.merged_for_inference():
            return responder.respond(one.model, one.tokenizer, records, limit, batch_size)

    def rewards(
        self, prompts: Sequence[object], responses: Sequence[str], batch_size: int = 64
    ) -> np.ndarray:
        """The score (N) of each response to its prompt, a text or a list of messages.

        Raises `InputError` for models that are no reward models.
        """
        if (verdict := self.problem.verdict) is None or not verdict.reads_prompts:
            raise InputError(no_rewards(self.problem.title))
        if len(prompts) != len(responses):
            raise InputError(unequal_numbers(len(prompts), len(responses)))
        if not len(prompts):
            return np.zeros(0)
        records = self.problem.codec.records_of(list(zip(prompts, responses, strict=True)))
        return verdict.rewards(self.outputs(records, batch_size), 0)

    def say(self, given: object, hear: Callable[[str], object], by: Responder | None = None) -> str:
        """Answer a text or a list of messages, streaming each piece of text as it comes.

        `by` decodes otherwise than the model does. Raises `InputError` for models without text.
        """
        responder, artifact = by or self.problem.responder, self._artifact
        if responder is None:
            raise InputError(no_text(self.problem.title))
        asked = artifact.model, artifact.tokenizer, given, artifact.max_length
        with artifact.merged_for_inference():
            return responder.stream(*asked, hear)

    def forgets(self, given: object) -> bool:
        """Whether a text or a list of messages is too long for `say` to read it whole."""
        responder, artifact = self.problem.responder, self._artifact
        asked = artifact.tokenizer, self.problem.codec.records_of([given]), artifact.max_length
        return responder is not None and bool(responder.cut(*asked)[0])

    def answer_file(
        self, file: str, batch_size: int = 64, data: DataConfig | None = None
    ) -> Iterator[tuple[object, Row]]:
        """Each row of a file, labelled or not, with its answer; rows that are broken have none.

        Raises `InputError` where the file as a whole cannot be read.
        """
        yield from self.rows(self.read_file(file, data), batch_size)

    def read_file(self, file: str, data: DataConfig | None = None) -> Inputs:
        """The rows of a file, for `rows`, as `answer_file`."""
        codec, config = self.problem.codec, data or DataConfig(train=file)
        roles, columns = question_roles(codec.roles), self._artifact.manifest.columns
        inputs = read_inputs(file, config, roles, codec.convert, columns)
        self._check(inputs.records)
        return inputs

    def outputs(self, records: Records, batch_size: int = 64) -> np.ndarray:
        """Raw outputs (N, K)."""
        return self._outputs(self._encode(records), batch_size)

    @property
    def _reader(self) -> Reader:
        manifest = self._artifact.manifest
        return Reader(self.problem.codec, manifest.inputs, manifest.columns)

    def _check(self, records: Records | None) -> None:
        """Raise `InputError` where a file has columns that the model does not read."""
        if records is not None and (fault := self._reader.misfit(records)) is not None:
            raise InputError(fault.at(Place(records.source, 1)))

    def _encode(self, records: Records) -> Examples:
        artifact = self._artifact
        return artifact.problem.codec.encode(artifact.tokenizer, records, artifact.max_length)

    def _telling_memory(self, batch_size: int) -> AbstractContextManager[None]:
        shorter = f"give shorter texts (up to {self._artifact.max_length} tokens are read)"
        alone = "give texts one at a time"
        return telling_memory("predicting", [*lower("batch_size", batch_size), alone, shorter])

    def _outputs(self, examples: Examples, batch_size: int) -> np.ndarray:
        artifact = self._artifact
        replicas = self.replicas if examples.lengths.sum() >= _MUCH else []
        sharing = [one.model for one in replicas if shares_weights(self.model, one.model)]
        with self._telling_memory(batch_size):
            outputs = predict_side_by_side(
                [self.model, *sharing],
                artifact.problem,
                examples,
                artifact.tokenizer.pad_token_id,
                batch_size,
                partial(autocast, artifact.precision, self.device),
                max_tokens=_TOKENS if self.device.type == "cpu" else None,
            )
        require_finite_outputs(outputs, examples.records)
        return outputs

    def evaluate(
        self, file: str, data: DataConfig | None = None, batch_size: int = 64
    ) -> dict[str, Any]:
        """Scores with intervals on a labelled file.

        Beside them `rows` and `examples`, which were scored; how many were `empty`, `left_out` for
        nothing in them can be scored, and `cut`; how many of the texts the model was `trained_on`,
        None where nobody knows; and `notes` that say so. Raises `InputError` for a faulty file.
        """
        facts = DataFacts(columns=dict(self._artifact.manifest.columns))
        records = self._read(file, data or DataConfig(train=file), facts)
        examples = self._encode(records)
        if not len(examples):
            raise InputError(nothing_to_score(file, self._artifact.max_length))
        outputs, targets = self._outputs(examples, batch_size), examples.targets
        assert targets is not None
        scores = self.problem.scorer.score(outputs, targets, intervals=True)
        if (responder := self.problem.responder) is not None:
            require_allowed("task.metrics", responder.imported_metrics)
            responses = self._responses(responder, records, batch_size)
            scores |= responder.score(responses, records, intervals=True)
        return {**scored_rows(records, examples, facts, self._run_folder), **scores}

    def _read(self, file: str, data: DataConfig, facts: DataFacts) -> Records:
        faults, codec = Faults(), self.problem.codec
        METRICS.check_all(faults)
        records = collect_file(file, data, codec.roles, faults, codec.convert, facts=facts)
        faults.raise_if_any()
        assert records is not None
        self._check(records)
        codec.read_targets(records, faults)
        faults.raise_if_any()
        return records


def _line(fault: Fault) -> int:
    return (fault.place and fault.place.line) or 0


def _at(given: Sequence[object], index: int) -> object:
    return given[index] if 0 <= index < len(given) else None
