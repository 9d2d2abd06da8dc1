"""Inference with a tuned model: `wt.load(run).predict([...])`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from welltuned.artifact.manifest import find_artifact
from welltuned.artifact.save_load import Artifact, load_artifact
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect_file
from welltuned.data.records import Records, Role
from welltuned.engines.device import autocast, choose_device
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.evaluation.predict import predict_outputs
from welltuned.metrics import METRICS
from welltuned.runs import Run
from welltuned.tasks import Examples, Problem

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Text = str | tuple[str, str] | list[str]
"""One text, a pair of texts for models trained on pairs, or the words of a sentence."""


class Predictor:
    """A tuned model, ready for inference."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact

    @classmethod
    def load(cls, run: Run | str | PathLike[str], device: str = "auto") -> Predictor:
        """From a run, its folder, or a bare model folder.

        Raises `InputError` when it is none of these.
        """
        return cls(load_artifact(find_artifact(run), choose_device(device)))

    @property
    def problem(self) -> Problem:
        return self._artifact.problem

    @property
    def model(self) -> nn.Module:
        """The model itself, for direct use."""
        return self._artifact.model

    @property
    def device(self) -> torch.device:
        return next(self._artifact.model.parameters()).device

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self._artifact.tokenizer

    def predict(self, texts: Sequence[Text], batch_size: int = 64) -> list[Mapping[str, Any]]:
        """One row a text, in order.

        Each holds `prediction`, and `probabilities` by label where there are labels.
        """
        return list(self.stream(texts, batch_size)) if texts else []

    def stream(self, texts: Iterable[Text], batch_size: int = 64) -> Iterator[Mapping[str, Any]]:
        """As `predict`, but streaming: reads a batch, predicts, reads on."""
        waiting = iter(texts)
        while batch := list(islice(waiting, batch_size)):
            yield from self.answer(self.problem.codec.records_of(batch), batch_size)

    def answer(self, records: Records, batch_size: int = 64) -> Sequence[Mapping[str, Any]]:
        """One row a record, in order."""
        artifact = self._artifact
        if (responder := self.problem.responder) is not None:
            responses = responder.respond(
                artifact.model, artifact.tokenizer, records, artifact.max_length, batch_size
            )
            return [{"prediction": response} for response in responses]
        return self.problem.presenter.answers(self.outputs(records, batch_size), records)

    def rewards(
        self, prompts: Sequence[object], responses: Sequence[str], batch_size: int = 64
    ) -> np.ndarray:
        """The score (N) of each response to its prompt, a text or a list of messages.

        Raises `InputError` for models that are no reward models.
        """
        verdict = self.problem.verdict
        if verdict is None or not verdict.reads_prompts:
            raise InputError(
                Fault(
                    "predict.not_a_reward_model",
                    "the model does {task} and gives no rewards",
                    None,
                    "give a run of task reward",
                    task=self.problem.title,
                )
            )
        if len(prompts) != len(responses):
            raise InputError(
                Fault(
                    "predict.prompts_and_responses_differ",
                    "{prompts} prompts but {responses} responses",
                    None,
                    "give one response for each prompt",
                    prompts=len(prompts),
                    responses=len(responses),
                )
            )
        if not len(prompts):
            return np.zeros(0)
        records = self.problem.codec.records_of(list(zip(prompts, responses, strict=True)))
        return verdict.rewards(self.outputs(records, batch_size), 0)

    def say(self, given: object, hear: Callable[[str], object]) -> str:
        """Answer a text or a list of messages, streaming each piece of text as it comes.

        Raises `InputError` for models that do not generate text.
        """
        responder, artifact = self.problem.responder, self._artifact
        if responder is None:
            raise InputError(
                Fault(
                    "predict.not_generative",
                    "the model does {task} and cannot chat",
                    None,
                    "use `welltuned predict`",
                    task=self.problem.title,
                )
            )
        return responder.stream(
            artifact.model, artifact.tokenizer, given, artifact.max_length, hear
        )

    def answer_file(
        self, file: str, batch_size: int = 64
    ) -> Iterator[tuple[object, Mapping[str, Any]]]:
        """Each input of a file, labelled or not, with its row. Raises `InputError`."""
        roles = [role for role in self.problem.codec.roles if role.is_input or not role.required]
        records = self._read(file, DataConfig(train=file), roles)
        for start in range(0, len(records), batch_size):
            part = records.take(range(start, min(start + batch_size, len(records))))
            for i, row in enumerate(self.answer(part, batch_size)):
                shown = list(self.problem.presenter.shown(part, i).values())
                yield shown[0] if len(shown) == 1 else tuple(shown), row

    def outputs(self, records: Records, batch_size: int = 64) -> np.ndarray:
        """Raw outputs (N, K)."""
        return self._outputs(self._encode(records), batch_size)

    def _encode(self, records: Records) -> Examples:
        artifact = self._artifact
        return artifact.problem.codec.encode(artifact.tokenizer, records, artifact.max_length)

    def _outputs(self, examples: Examples, batch_size: int) -> np.ndarray:
        artifact = self._artifact
        precision = autocast(artifact.precision, self.device)
        return predict_outputs(
            artifact.model,
            artifact.problem,
            examples,
            artifact.tokenizer.pad_token_id,
            batch_size,
            precision,
        )

    def evaluate(
        self, file: str, data: DataConfig | None = None, batch_size: int = 64
    ) -> dict[str, Any]:
        """Scores with intervals on a labelled file. Raises `InputError` for what is wrong in it."""
        records = self._read(file, data or DataConfig(train=file), self.problem.codec.roles)
        faults = Faults()
        METRICS.check_all(faults)
        self.problem.codec.read_targets(records, faults)
        faults.raise_if_any()
        examples = self._encode(records)
        if not len(examples):
            raise InputError(
                Fault(
                    "predict.nothing_to_score",
                    "no example can be scored within {tokens} tokens",
                    Place(file),
                    "check the file with `welltuned data`",
                    tokens=self._artifact.max_length,
                )
            )
        assert examples.targets is not None
        outputs = self._outputs(examples, batch_size)
        scores = self.problem.scorer.score(outputs, examples.targets, intervals=True)
        artifact = self._artifact
        if (responder := self.problem.responder) is not None:
            responses = responder.respond(
                artifact.model, artifact.tokenizer, records, artifact.max_length, batch_size
            )
            scores |= responder.score(responses, records, intervals=True)
        return {"examples": len(records), **scores}

    def _read(self, file: str, data: DataConfig, roles: Sequence[Role]) -> Records:
        faults = Faults()
        records = collect_file(file, data, roles, faults, self.problem.codec.convert)
        faults.raise_if_any()
        assert records is not None
        return records
