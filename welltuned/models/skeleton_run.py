"""A model without weights runs once on three dummy tokens, and what is called is noted.

For `anatomy.py`, which tells the parts of a model apart by that.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from welltuned.models.compat.transformers_api import register_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class _Watcher:
    """Replaces the attention function during the dummy run and records its callers."""

    name = "welltuned-anatomy"
    callers: ClassVar[dict[nn.Module, tuple[int, int]]] = {}

    @classmethod
    def attend(
        cls, module: nn.Module, query: Any, key: Any, value: Any, attention_mask: Any, **_: Any
    ) -> tuple[Any, None]:
        cls.callers[module] = (key.shape[1], key.shape[3])
        return query.new_zeros(
            query.shape[0], query.shape[2], query.shape[1], value.shape[-1]
        ), None


register_attention(_Watcher.name, _Watcher.attend, lambda *args, **kwargs: None)

SKELETON_ATTENTION = _Watcher.name
"""The attention implementation to build a skeleton with, so that `examine` sees who attends."""


def watch_run(trunk: PreTrainedModel) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """Run the trunk on three dummy tokens, which a decoder beside an encoder is given too.

    Returns the names of modules with weights in the order of their calls, and for
    each attention module by name its key heads and their size.
    """
    calls: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, _o, name=name: calls.append(name))
        for name, module in trunk.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    _Watcher.callers = {}
    text = trunk.config.get_text_config()
    # With a padding token, transformers compares values, which `meta` tensors lack.
    pad, text.pad_token_id = text.pad_token_id, None
    try:
        with torch.no_grad():
            trunk(**dict.fromkeys(_inputs(trunk), _three_tokens()))
    finally:
        text.pad_token_id = pad
        for hook in hooks:
            hook.remove()
    attentions = {
        name: _Watcher.callers[module]
        for name, module in trunk.named_modules()
        if module in _Watcher.callers
    }
    _Watcher.callers = {}
    return calls, attentions


def _inputs(trunk: PreTrainedModel) -> list[str]:
    """What the trunk has to be given."""
    takes = inspect.signature(trunk.forward).parameters
    return [name for name in ("input_ids", "decoder_input_ids") if name in takes]


def _three_tokens() -> torch.Tensor:
    return torch.ones(1, 3, dtype=torch.long, device="meta")
