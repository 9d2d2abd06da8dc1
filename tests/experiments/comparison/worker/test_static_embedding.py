"""Static embeddings as features of a linear model."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from support import WORDS, config_values, make_rows, write_rows
from welltuned.experiments.comparison.worker import static_embedding
from welltuned.experiments.comparison.worker.baselines import run_baselines
from welltuned.experiments.comparison.worker.protocol import StaticSource
from welltuned.runs import Run

DIMENSIONS = 64


class Vectors:
    """As model2vec's `StaticModel`: a vector for each word, and their mean."""

    read: ClassVar[list[str]] = []
    """The folders that were asked for."""

    @classmethod
    def from_pretrained(cls, path: str) -> Vectors:
        cls.read.append(path)
        return cls()

    def encode(
        self, sentences: Sequence[str], *, max_length: int | None, use_multiprocessing: bool
    ) -> np.ndarray:
        assert max_length is None and not use_multiprocessing, "texts are read in full, and here"
        table = np.random.default_rng(0).normal(size=(len(WORDS), DIMENSIONS)).astype(np.float32)
        known = {word: table[i] for i, word in enumerate(WORDS)}
        means = [
            np.mean([known[word] for word in text.split() if word in known] or [table[0] * 0], 0)
            for text in sentences
        ]
        return np.stack(means)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """model2vec, as far as we call it."""
    module: Any = ModuleType("model2vec")
    module.StaticModel = Vectors
    monkeypatch.setitem(sys.modules, "model2vec", module)
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "1" if name == "model2vec" else version(name)
    )


@pytest.fixture
def source(tmp_path: Path) -> StaticSource:
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("about it")
    return {"name": "org/vectors", "path": str(folder)}


def test_features_are_scaled_by_the_training_split_alone(
    library: None, source: StaticSource
) -> None:
    texts = {"train": ["good film", "bad meal", "the room"], "test": ["good film", "", "unheard"]}
    found = static_embedding.embed(source, texts)
    assert found["train"].shape == (3, DIMENSIONS) and found["test"].shape == (3, DIMENSIONS)
    assert np.allclose(found["train"].mean(axis=0), 0) and np.allclose(found["train"].std(0), 1)
    assert np.allclose(found["train"][0], found["test"][0])
    assert np.isfinite(found["test"]).all(), "texts without a known word have a vector too"


def test_a_dimension_that_never_changes_is_no_trap(library: None, source: StaticSource) -> None:
    found = static_embedding.embed(source, {"train": ["good", "good"], "test": ["bad"]})
    assert np.isfinite(found["test"]).all() and (found["train"] == 0).all()


def test_other_vectors_are_another_embedding(library: None, source: StaticSource) -> None:
    before = static_embedding.source_identity(source)
    assert static_embedding.size(source) == 1002, "what has to be kept, and not the readme"
    (Path(source["path"]) / "README.md").write_text("more about it")
    assert static_embedding.source_identity(source) == before
    (Path(source["path"]) / "model.safetensors").write_bytes(b"y" * 1000)
    assert static_embedding.source_identity(source) != before


def test_the_baseline_stands_beside_word_counts_and_is_fitted_once(
    library: None, source: StaticSource, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Vectors, "read", [])
    data = write_rows(tmp_path / "data.jsonl", make_rows(200))
    values = config_values(tiny("bert"), data, "full", tmp_path / "x", task={"pooling": "mean"})
    del values["output_dir"]
    for folder in ("first", "again"):
        asked: Any = {"config": values, "folder": str(tmp_path / folder), "static": source}
        run_baselines(asked, lambda event, **told: None)
    first, again = (Run(tmp_path / folder / "static").results for folder in ("first", "again"))
    results: Any = first
    assert results == again and Vectors.read == [source["path"]]
    assert results["name"] == "static" and results["features"] == "org/vectors, 64"
    assert results["test"]["accuracy"] >= 0.8
    assert results["cost"]["artifact_bytes"] > 1002 and results["cost"]["train_seconds"] > 0
    rows = list(Run(tmp_path / "first" / "static").read_lines("predictions.jsonl"))
    assert len(rows) == 20 and set(rows[0]["probabilities"]) == {"negative", "positive"}


def test_what_the_library_saves_is_read(tmp_path: Path) -> None:
    """With the library itself, where it is installed."""
    pytest.importorskip("model2vec")
    from tokenizers import Tokenizer, models, pre_tokenizers

    library = importlib.import_module("model2vec")
    vocabulary = {word: i for i, word in enumerate(["[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), 4)).astype(np.float32)
    library.StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "saved")
    source: StaticSource = {"name": "saved", "path": str(tmp_path / "saved")}
    texts = {"train": ["good film", "bad meal", "good"], "test": ["good " * 600 + "bad"]}
    found = static_embedding.embed(source, texts)
    good, bad = vectors[vocabulary["good"]], vectors[vocabulary["bad"]]
    train = np.stack([
        (good + vectors[vocabulary["film"]]) / 2, (bad + vectors[vocabulary["meal"]]) / 2, good
    ])  # fmt: skip
    expected = ((600 * good + bad) / 601 - train.mean(axis=0)) / train.std(axis=0)
    assert np.allclose(found["test"][0], expected, atol=1e-4), "all 601 words count"
    assert static_embedding.size(source) > vectors.nbytes
