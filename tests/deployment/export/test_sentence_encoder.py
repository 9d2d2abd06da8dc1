"""sentence-transformers: the vectors that the head reads, and the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import welltuned as wt
from exporting import require_alike
from faults import refused
from support import logits, make_rows
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.runs import Run
from welltuned.runs.export_schema import read_export

TEXTS = [row["text"] for row in make_rows(9, seed=5)]


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(finished, "sentence-transformers", tmp_path_factory.mktemp("st") / "st")


def test_it_answers_as_the_run_does(exported: Path, finished: Run) -> None:
    require_alike(open_predictor(exported).predict(TEXTS), wt.load(finished).predict(TEXTS))
    proof = read_export(exported)["proof"]
    assert proof is not None and proof["agreement"]["largest"] < 1e-4


@pytest.mark.slow
def test_the_library_gives_what_the_head_reads(exported: Path, finished: Run) -> None:
    library = pytest.importorskip("sentence_transformers")
    encoder = library.SentenceTransformer(str(exported), device="cpu")
    head = load_file(exported / "head.safetensors")
    vectors = torch.from_numpy(np.asarray(encoder.encode(TEXTS)))
    found = vectors @ head["weight"].T + head["bias"]
    ours = wt.load(finished)
    batch = dict(ours.tokenizer(TEXTS, padding=True, return_tensors="pt"))
    torch.testing.assert_close(found, logits(ours.model, batch), atol=1e-4, rtol=0)


def test_a_head_of_the_familys_own_is_refused(adapted: Run, tmp_path: Path) -> None:
    with refused("export.cannot_hold"):
        export_run(adapted, "sentence-transformers", tmp_path / "st")
    assert not (tmp_path / "st").exists()
