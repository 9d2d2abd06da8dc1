"""Weights have llama.cpp's names, order and types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

from llamas import speaking
from welltuned.deployment.export.gguf.format import WEIGHTS, write_gguf
from welltuned.deployment.export.gguf.tensors import interleaved, stored_as, tensors_of

KINDS = gguf.GGMLQuantizationType


@pytest.mark.parametrize("shape", [(24, 5), (24,)])
def test_halves_are_interleaved_so_that_others_find_them(shape: tuple[int, ...]) -> None:
    weight = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    turned = interleaved(weight, heads=3)
    rows = [0, 4, 1, 5, 2, 6, 3, 7]
    np.testing.assert_array_equal(turned[:8], weight[rows])
    back = LlamaTensorProcessor()._reverse_permute_weights(turned, 3, 3)
    np.testing.assert_array_equal(back, weight)


@pytest.mark.parametrize(
    ("shape", "precision", "kind"),
    [
        ((4, 64), "fp32", KINDS.F32),
        ((4, 64), "fp16", KINDS.F16),
        ((4, 64), "int8", KINDS.Q8_0),
        ((4, 48), "int8", KINDS.F16),
        ((64,), "int8", KINDS.F32),
        ((64,), "fp16", KINDS.F32),
    ],
)
def test_vectors_stay_whole_and_rows_that_fit_no_block_are_halved(
    shape: tuple[int, ...], precision: str, kind: Any
) -> None:
    assert stored_as(torch.ones(shape), precision) == kind


def test_what_half_precision_cannot_hold_stays_whole() -> None:
    assert stored_as(torch.full((2, 32), 1e5), "fp16") == KINDS.F32


def test_an_output_layer_that_is_the_embeddings_is_written_once() -> None:
    names = [one.name for one in tensors_of(speaking(tie_word_embeddings=True).model, "fp32")]
    assert "output.weight" not in names and len(names) == len(set(names))
    own = [one.name for one in tensors_of(speaking(tie_word_embeddings=False).model, "fp32")]
    assert set(own) - set(names) == {"output.weight"}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_holds_every_weight_within_its_precision(tmp_path: Path, precision: str) -> None:
    artifact = speaking()
    write_gguf(artifact, tmp_path / WEIGHTS, precision)
    reader = gguf.GGUFReader(str(tmp_path / WEIGHTS))
    found = {one.name: one for one in reader.tensors}
    for wanted in tensors_of(artifact.model, precision):
        one = found.pop(wanted.name)
        assert one.tensor_type == wanted.kind and one.n_bytes == wanted.nbytes
        values = gguf.dequantize(one.data, one.tensor_type).reshape(wanted.shape)
        full = wanted.weight.detach().numpy()
        if wanted.heads is not None:
            full = interleaved(full, wanted.heads)
        step = {KINDS.F32: 0.0, KINDS.F16: 1e-3, KINDS.Q8_0: 1 / 127}[wanted.kind]
        assert np.abs(values - full).max() <= step * np.abs(full).max(), wanted.name
    assert not found
