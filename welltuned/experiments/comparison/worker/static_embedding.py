"""Static embeddings: a vector for each token, whatever stands around it, and their mean for a text.

Read by model2vec, whose vectors are distilled from an encoder of sentences (Tulkens and van Dongen
2024, "Model2Vec"). Nothing is fetched: the files are here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from welltuned.experiments.comparison.worker.protocol import StaticSource

LIBRARY = "model2vec"
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse strengths of the linear model's regularisation: features have a deviation of 1."""
_FILES = ("*.safetensors", "*.json")
_LEAST_DEVIATION = 1e-8


def embed(source: StaticSource, texts: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Features (N, D) of each split, centred and scaled by what the training split shows.

    Texts are read in full: the mean has no limit of tokens.
    """
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(source["path"])
    found = {
        split: np.asarray(
            model.encode(list(some), max_length=None, use_multiprocessing=False), dtype=np.float64
        )
        for split, some in texts.items()
    }
    mean_D, deviation_D = found["train"].mean(axis=0), found["train"].std(axis=0)
    scale_D = np.where(deviation_D > _LEAST_DEVIATION, deviation_D, 1.0)
    return {split: (features_ND - mean_D) / scale_D for split, features_ND in found.items()}


def source_identity(source: StaticSource) -> list[str]:
    """What its vectors follow from: its files, and the release that reads them."""
    return [metadata.version(LIBRARY), *map(_digest, _files(source))]


def size(source: StaticSource) -> int:
    """Bytes of what has to be kept to use it."""
    return sum(file.stat().st_size for file in _files(source))


def _files(source: StaticSource) -> list[Path]:
    folder = Path(source["path"])
    return sorted(file for pattern in _FILES for file in folder.rglob(pattern))


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
