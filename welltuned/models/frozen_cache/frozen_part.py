"""The frozen part of a model: how many blocks it has now, and what tells its outputs from others'.

Weights are looked at and not believed: a frozen block that has changed, by whatever hand, has
another fingerprint, and nothing that was kept before is taken for its own.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from importlib import metadata

import torch
from torch import nn
from transformers import PreTrainedModel

from welltuned.models.anatomy import Anatomy, unwrapped
from welltuned.models.checksums import tensor_bytes
from welltuned.models.compat.torch_api import version_of
from welltuned.models.compat.transformers_api import attention_of
from welltuned.models.quantization import libraries_of, scales_of
from welltuned.runs.environment import processor

_NOT_COMPUTED_WITH = {"_name_or_path", "transformers_version", "id2label", "label2id"}
"""Keys of a model's config that change no hidden state."""


class FrozenPart:
    """Embeddings and the blocks, from the bottom, below everything that trains."""

    def __init__(self, model: nn.Module, anatomy: Anatomy) -> None:
        self._trunk: PreTrainedModel = unwrapped(model).get_submodule(anatomy.trunk)
        self._anatomy = anatomy
        top = anatomy.num_blocks + 1
        self._regions: list[list[nn.Parameter]] = [[] for _ in range(top + 1)]
        for name, parameter in model.named_parameters():
            self._regions[top - anatomy.depth(name)].append(parameter)
        # What was put in beside the weights may be switched off while it does not train.
        self._most = self._depth_now() if hasattr(model, "peft_config") else anatomy.num_blocks
        self._digests: dict[tuple[str, int, int], str] = {}
        self._fingerprints: dict[object, str] = {}

    def depth(self) -> int:
        """How many blocks are frozen, counted from the bottom; 0 where embeddings train."""
        return min(self._depth_now(), self._most)

    def _depth_now(self) -> int:
        for depth, region in enumerate(self._regions[:-1]):
            if any(parameter.requires_grad for parameter in region):
                return max(0, depth - 1)
        return self._anatomy.num_blocks

    def fingerprint(self, depth: int) -> str:
        """Equal where the same tokens give the same states above `depth` blocks, bit for bit."""
        device = next(self._trunk.parameters()).device.type
        half = torch.is_autocast_enabled(device)
        arithmetic = str(torch.get_autocast_dtype(device)) if half else "as loaded"
        seen = tuple(
            (version_of(parameter), parameter.data_ptr())
            for region in self._regions[: depth + 1]
            for parameter in region
        )
        known = depth, arithmetic, torch.get_num_threads(), seen
        if known not in self._fingerprints:
            self._fingerprints[known] = self._hash(depth, [device, arithmetic])
        return self._fingerprints[known]

    def _hash(self, depth: int, told: list[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        digest.update(json.dumps([depth, *told, *self._setting], sort_keys=True).encode())
        digest.update(str(torch.get_num_threads()).encode())
        weights = list(self._trunk.named_parameters())
        scales = [(name, scale) for name, weight in weights for scale in scales_of(weight)]
        for name, tensor in (*weights, *self._trunk.named_buffers(), *scales):
            region = self._anatomy.num_blocks + 1 - self._anatomy.depth(f"{self._prefix}{name}")
            if region <= depth:
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(self._digest(name, tensor).encode())
        return digest.hexdigest()

    def _digest(self, name: str, tensor: torch.Tensor) -> str:
        known = name, version_of(tensor), tensor.data_ptr()
        if known not in self._digests:
            content = hashlib.blake2b(tensor_bytes(tensor), digest_size=16)
            self._digests[known] = content.hexdigest()
        return self._digests[known]

    @property
    def _prefix(self) -> str:
        return f"{self._anatomy.trunk}."

    @cached_property
    def _setting(self) -> list[object]:
        return computed_with(self._trunk)


def computed_with(trunk: PreTrainedModel) -> list[object]:
    """What decides about bits besides weights: a model's code and config, libraries, processor."""
    config = trunk.config.to_dict()
    kept = {key: value for key, value in config.items() if key not in _NOT_COMPUTED_WITH}
    named = ("torch", "transformers", "welltuned", *libraries_of(trunk))
    libraries = [metadata.version(name) for name in named]
    return [
        *(type(trunk).__qualname__, attention_of(trunk)),
        json.dumps(kept, sort_keys=True, default=str),
        *(*libraries, processor(), torch.backends.cpu.get_cpu_capability()),
    ]
