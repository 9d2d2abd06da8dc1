"""Using a tuned model: `wt.load(run).predict([...])`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from welltuned.artifact import Artifact, load_artifact
from welltuned.data.collect import collect_file
from welltuned.data.config import DataConfig
from welltuned.data.records import Records
from welltuned.engines.precision import autocast, choose_device
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.evaluation.predicting import predict
from welltuned.runs import Run
from welltuned.tasks import Classification, Problem

Text = str | tuple[str, str]
"""One text, or a pair of texts for models trained on pairs."""


class Predictor:
    """A tuned model, ready to be asked."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact

    @classmethod
    def load(cls, run: Run | str | Path, device: str = "auto") -> Predictor:
        """From a run, its folder, or a bare model folder. Raises `InputError` when it is none of these."""
        folder = run.folder if isinstance(run, Run) else Path(run).expanduser()
        if not folder.is_dir():
            raise InputError(Fault("there is no such run or model folder", Place(str(folder)), "`welltuned runs` lists runs"))
        if (folder / "status.json").exists():
            state = Run(folder).state
            if not (folder / "model" / "welltuned.json").exists():
                raise InputError(Fault(f"the run has no tuned model (it is {state})", Place(str(folder)), "choose a finished run"))
            folder = folder / "model"
        return cls(load_artifact(folder, choose_device(device)))

    @property
    def problem(self) -> Problem:
        return self._artifact.problem

    @property
    def model(self) -> Any:
        """The model itself, for those who want more than predictions."""
        return self._artifact.model

    @property
    def device(self) -> Any:
        return next(self._artifact.model.parameters()).device

    @property
    def tokenizer(self) -> Any:
        return self._artifact.tokenizer

    def predict(self, texts: Sequence[Text], batch_size: int = 64) -> list[dict[str, Any]]:
        """One row a text, in order: `prediction`, and `probabilities` by label where there are labels."""
        return list(self.stream(texts, batch_size)) if texts else []

    def stream(self, texts: Iterable[Text], batch_size: int = 64) -> Iterator[dict[str, Any]]:
        """As `predict`, but for an endless stream: reads a batch, answers it, reads on."""
        waiting = iter(texts)
        while batch := list(islice(waiting, batch_size)):
            yield from self.problem.describe(self.outputs(_as_records(batch), batch_size))

    def outputs(self, records: Records, batch_size: int = 64) -> np.ndarray:
        """Raw outputs (N, K)."""
        artifact = self._artifact
        examples = artifact.problem.encode(artifact.tokenizer, records, artifact.max_length)
        precision = autocast(artifact.precision, self.device)
        return predict(artifact.model, artifact.problem, examples, artifact.tokenizer.pad_token_id, batch_size, precision)

    def evaluate(self, file: str, data: DataConfig | None = None, batch_size: int = 64) -> dict[str, Any]:
        """Scores with intervals on a labelled file. Raises `InputError` for what is wrong in it."""
        faults = Faults()
        records = collect_file(file, data or DataConfig(train=file), Classification.roles, faults)
        faults.raise_if_any()
        assert records is not None
        targets = self.problem.read_targets(records, faults)
        faults.raise_if_any()
        return {"examples": len(records), **self.problem.score(self.outputs(records, batch_size), targets, intervals=True)}


def _as_records(texts: Sequence[Text]) -> Records:
    first = [text if isinstance(text, str) else text[0] for text in texts]
    columns: dict[str, list[Any]] = {"text": first}
    if any(not isinstance(text, str) for text in texts):
        columns["text_pair"] = ["" if isinstance(text, str) else text[1] for text in texts]
    return Records("texts", columns, list(range(1, len(texts) + 1)), tuple(columns))
