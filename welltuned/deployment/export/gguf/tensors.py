"""The tensors of a GGUF file: their names, the order of their rows, and their precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from welltuned.deployment.export.base import cannot_hold
from welltuned.errors import InputError

if TYPE_CHECKING:
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter
    from transformers import PreTrainedModel

_LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class Family:
    """A family of decoders, as llama.cpp computes it."""

    architecture: str
    """`general.architecture`."""
    turns_neighbours: bool = False
    """Whether its rotary embedding turns neighbouring numbers of a head against each other, where
    transformers turns those of its two halves."""


FAMILIES = {
    "llama": Family("llama", turns_neighbours=True),
    "mistral": Family("llama", turns_neighbours=True),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3"),
}
"""By the model type of transformers."""


@dataclass(frozen=True)
class Tensor:
    """A tensor to be written."""

    name: str
    weight: torch.Tensor
    kind: GGMLQuantizationType
    heads: int | None
    """Heads whose rows are interleaved; None where rows stay as they are."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.weight.shape)

    @property
    def nbytes(self) -> int:
        """Of it in the file."""
        import gguf

        block, size = gguf.GGML_QUANT_SIZES[self.kind]
        return prod(self.shape) // block * size

    def values(self) -> np.ndarray:
        """As it is written."""
        import gguf

        full: np.ndarray = self.weight.detach().float().cpu().numpy()
        ordered = full if self.heads is None else interleaved(full, self.heads)
        return gguf.quantize(np.ascontiguousarray(ordered), self.kind)


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows (heads · D, …) of a query or key projection, the halves of each head interleaved.

    As `LlamaModel.permute` of llama.cpp's `convert_hf_to_gguf.py`.
    """
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def tensors_of(model: PreTrainedModel, precision: str) -> Iterator[Tensor]:
    """Every weight of a decoder, once: an output layer that is the embeddings is not written.

    Raises `InputError` where a weight has no name in the format.
    """
    import gguf

    config = model.config
    family = FAMILIES[config.model_type]
    architecture = next(
        one for one, name in gguf.MODEL_ARCH_NAMES.items() if name == family.architecture
    )
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    heads = {".attn_q.": config.num_attention_heads, ".attn_k.": config.num_key_value_heads}
    for own, weight in model.named_parameters():
        name = names.get_name(own, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise InputError(
                cannot_hold("gguf", f"'{own}' has no name in the format", "export to=plain")
            )
        turned = [number for part, number in heads.items() if part in name]
        turns = turned[0] if turned and family.turns_neighbours else None
        yield Tensor(name, weight, stored_as(weight, precision), turns)


def stored_as(weight: torch.Tensor, precision: str) -> GGMLQuantizationType:
    """In which type a weight is written; vectors stay in full precision, as llama.cpp wants them.

    Blocks of Q8_0 are 32 numbers of a row; where they do not fit, it is half precision.
    """
    import gguf

    kinds = gguf.GGMLQuantizationType
    if precision == "fp32" or weight.ndim == 1:
        return kinds.F32
    block, _ = gguf.GGML_QUANT_SIZES[kinds.Q8_0]
    if precision == "int8" and weight.shape[-1] % block == 0:
        return kinds.Q8_0
    return kinds.F16 if float(weight.detach().abs().max()) <= _LARGEST_HALF else kinds.F32


def write_tensors(writer: GGUFWriter, tensors: list[Tensor]) -> None:
    """Names and places first, and then one tensor after the other: none is held twice."""
    for one in tensors:
        writer.add_tensor_info(
            one.name, one.shape, np.dtype(np.float32), one.nbytes, raw_dtype=one.kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for one in tensors:
        writer.write_tensor_data(one.values())
    writer.close()
