"""Adapted models, each in a folder named by what it follows from, so that many runs share one.

FOLDER/KEY/  texts.jsonl      what was read
             extended/        the base with new tokens, where some were asked for
             run/             the run that read it: curves, forgetting, report
             model/           the adapted model, for any strategy to start from
             adaptation.json  what came of it; written last
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.extended_base import Saved, extended
from welltuned.experiments.adaptation.plain_copy import copy_plainly
from welltuned.experiments.adaptation.reading_run import kind_of_model, reading_run
from welltuned.experiments.adaptation.texts import AdaptationTexts
from welltuned.models.checksums import file_digest
from welltuned.models.compat.transformers_api import file_of_model
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config
from welltuned.runs import Run
from welltuned.runs.code_version import code_version
from welltuned.runs.disk import make_folder
from welltuned.runs.folder import write_atomically
from welltuned.runs.locks import holding
from welltuned.runs.results_schema import Adaptation
from welltuned.schema.messages import render_message
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.model_plan import lacks_output_layer

FOLDER = "adapted"
"""What the folder of adapted models is called where it has been given no name."""
_MODEL, _DONE = "model", "adaptation.json"


def record_of(model: str) -> Adaptation | None:
    """What came of reading, of an adapted model's folder; None of any other model."""
    folder = Path(model).expanduser()
    is_adapted = folder.name == _MODEL and (folder.parent / _DONE).is_file()
    return _read_record(folder.parent) if is_adapted else None


def _read_record(folder: Path) -> Adaptation:
    return cast(Adaptation, json.loads((folder / _DONE).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Checkpoint:
    """An adapted model, made or yet to be made."""

    folder: Path
    config: AdaptConfig
    reading: AdaptationTexts

    @classmethod
    def of(cls, config: AdaptConfig, reading: AdaptationTexts, beside: Path) -> Checkpoint:
        """The one that a config means, in `adaptation.folder` or else in a folder `beside`."""
        parent = Path(config.adaptation.folder or beside / FOLDER).expanduser()
        return cls(parent / _key(config, reading), config, reading)

    @property
    def model(self) -> Path:
        """The folder of the adapted model."""
        return self.folder / _MODEL

    @property
    def is_made(self) -> bool:
        return (self.folder / _DONE).exists()

    @property
    def record(self) -> Adaptation:
        """What came of it."""
        return _read_record(self.folder)

    @property
    def adapted(self) -> ModelConfig:
        """The model of the config, adapted."""
        changes = {"name": str(self.model), "revision": None, "gguf_file": None}
        return self.config.model.model_copy(update=changes)


def _key(config: AdaptConfig, reading: AdaptationTexts) -> str:
    """One hash of the texts, the base and the run that reads them."""
    run = reading_run(config, config.model, Path(), Path())
    values = run.model_dump(mode="json", exclude={"output_dir", "report", "data", "engine"})
    del values["training"]["report_to"]
    of_base = [_digest_of(config.model, name) for name in ("config.json", "model.safetensors")]
    more = [reading.digest, of_base, config.adaptation.new_tokens, config.data.compare_as]
    text = json.dumps([values, more, code_version("experiments/adaptation")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest_of(model: ModelConfig, name: str) -> str | None:
    """The hash of a file of the base; of a model of other files its name alone counts."""
    location = str(Path(model.location).expanduser())
    file = file_of_model(location, name, "", model.revision)
    return None if file is None else file_digest(file)


Read = Callable[..., Run]
"""Carries out an ordinary run, or what is left of it."""


def make(
    checkpoint: Checkpoint, read: Read, observer: Observer, command: str | None, cache: DataCache
) -> Adaptation:
    """The adapted model, unless it is there; of several processes that ask at once one makes it.

    What an earlier process has begun goes on. Raises as `read` does.
    """
    make_folder(checkpoint.folder)
    with holding(checkpoint.folder / "lock"):
        if checkpoint.is_made:
            observer.noted(f"the adapted model is there already: {checkpoint.folder}")
            return checkpoint.record
        observer.noted(f"reading {len(checkpoint.reading.texts):,} texts: {checkpoint.folder}")
        texts, folder = checkpoint.folder / "texts.jsonl", checkpoint.folder / "run"
        checkpoint.reading.write(texts)
        base, saved = extended(checkpoint.config, checkpoint.reading.texts, checkpoint.folder)
        run = Run(folder)
        if not run.is_finished:
            asked = reading_run(checkpoint.config, base, texts, folder)
            run = read(asked, observer, command, cache)
        shutil.rmtree(checkpoint.model, ignore_errors=True)
        copy_plainly(run.proven_model(), checkpoint.config.model, checkpoint.model)
        record = _record(checkpoint, run, saved)
        write_atomically(checkpoint.folder / _DONE, json.dumps(record, indent=2) + "\n")
        return record


def _record(checkpoint: Checkpoint, run: Run, saved: Saved) -> Adaptation:
    results, config = run.results, checkpoint.config
    record: Adaptation = {
        "key": checkpoint.folder.name,
        "base": config.model.title,
        "objective": "masked" if kind_of_model(config) == "encoder" else "causal",
        "texts": len(checkpoint.reading.texts),
        "notes": [render_message(note) for note in checkpoint.reading.notes],
        "new_tokens": saved.number,
        "tokens_saved": saved.share,
        "loss_before": cast(float, results["baselines"]["untrained"]["loss"]),
        "loss": cast(float, results["validation"]["loss"]),
        "output_layer_built": _builds_output_layer(config),
        "epochs": results["training"]["epochs"],
        "seconds": results["cost"]["train_seconds"],
    }
    if "retention" in results:
        record["retention"] = results["retention"]
    return record


def _builds_output_layer(config: AdaptConfig) -> bool:
    return kind_of_model(config) == "encoder" and lacks_output_layer(
        read_model_config(config.model)
    )
