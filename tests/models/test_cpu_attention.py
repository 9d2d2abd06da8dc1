"""Attention on a CPU is computed in float32, whatever is around it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AttentionInterface

from welltuned.models import cpu_attention

SHAPE = (2, 3, 24, 8)


class Kernels(TorchDispatchMode):
    """Notes the dtypes that attention's kernels are given."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if "attention" in func._overloadpacket.__name__:
            self.dtypes.add(args[0].dtype)
        return func(*args, **(kwargs or {}))


def given(tokens: int = SHAPE[2]) -> list[torch.Tensor]:
    shape = (*SHAPE[:2], tokens, SHAPE[3])
    torch.manual_seed(0)
    return [torch.randn(shape).bfloat16().requires_grad_() for _ in range(3)]


@pytest.mark.parametrize("tokens, dtype", [(24, torch.float32), (1, torch.bfloat16)])
def test_kernels_are_those_of_float32_but_for_a_word_that_is_generated(
    tokens: int, dtype: torch.dtype
) -> None:
    query, key, value = given(tokens)
    with Kernels() as kernels:
        output = cpu_attention.scaled_dot_product(query, key, value, None)
        output.sum().backward()
    assert kernels.dtypes == {dtype} and output.dtype == torch.bfloat16
    assert query.grad is not None and query.grad.dtype == torch.bfloat16


def test_autocast_does_not_undo_it() -> None:
    query, key, value = (tensor.float() for tensor in given())
    with Kernels() as kernels, torch.autocast("cpu", dtype=torch.bfloat16):
        output = cpu_attention.scaled_dot_product(query, key, value, None)
    assert kernels.dtypes == {torch.float32} and output.dtype == torch.bfloat16


def test_float32_is_left_as_it_is() -> None:
    query, key, value = (tensor.float() for tensor in given())
    ours = cpu_attention.scaled_dot_product(query, key, value, None)
    assert torch.equal(ours, functional.scaled_dot_product_attention(query, key, value))


@pytest.mark.parametrize("kind", [torch.bool, torch.bfloat16])
def test_masks_hold(kind: torch.dtype) -> None:
    query, key, value = given()
    seen = torch.ones(SHAPE[2], SHAPE[2], dtype=torch.bool).tril()
    mask = (
        seen if kind == torch.bool else torch.zeros_like(seen, dtype=kind).masked_fill(~seen, -1e9)
    )
    ours = cpu_attention.scaled_dot_product(query, key, value, mask)
    exact = functional.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), attn_mask=seen
    )
    assert torch.equal(ours, exact.bfloat16())


def test_models_of_transformers_attend_by_it(tiny: Any) -> None:
    from transformers import AutoModel

    cpu_attention.install()
    assert AttentionInterface()["sdpa"] is cpu_attention.attend_in_float32
    model = AutoModel.from_pretrained(tiny("bert"))
    tokens = torch.arange(24)[None] % 5
    with Kernels() as kernels, torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        model(input_ids=tokens)
    assert kernels.dtypes == {torch.float32}
