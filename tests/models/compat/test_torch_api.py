"""What we use of torch beyond its public interface still does what we use it for."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from welltuned.models.compat import torch_api as compat


class Calls(compat.TorchDispatchMode):
    """Notes the operations below what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


def test_fused_attention_is_what_a_cpu_calls_forward_and_backward() -> None:
    query, key, value = (torch.rand(1, 2, 5, 8, requires_grad=True) for _ in range(3))
    with Calls() as calls:
        functional.scaled_dot_product_attention(query, key, value).sum().backward()
    seen = [compat.operation_of(func) for func in calls.seen]
    assert seen.index(compat.FUSED) < seen.index(compat.FUSED_BACKWARD)


def test_fused_attention_takes_what_we_give_it() -> None:
    query, key, value = (torch.rand(1, 2, 5, 8) for _ in range(3))
    mask = torch.zeros(1, 1, 5, 5)
    output = compat.FUSED(query, key, value, 0.0, False, attn_mask=mask, scale=None)[0]
    exact = functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(output, exact)
    on_meta = [tensor.to("meta") for tensor in (query, key, value, mask)]
    shape = compat.FUSED(*on_meta[:3], 0.0, False, attn_mask=on_meta[3], scale=None)[0].shape
    assert shape == query.shape


def test_a_question_about_a_value_is_one_operation() -> None:
    with Calls() as calls:
        bool(torch.tensor(True))
    assert compat.READ_VALUE in calls.seen


def test_an_overload_knows_its_operation() -> None:
    assert compat.operation_of(torch.ops.aten.add.Tensor) is torch.ops.aten.add
    assert compat.operation_of(torch.ops.aten.add.Tensor).__name__ == "add"


def test_tensors_that_share_memory_have_one_storage() -> None:
    whole, other = torch.empty(4, 4, device="meta"), torch.empty(4, 4, device="meta")
    of = [compat.storage_id(tensor.untyped_storage()) for tensor in (whole, whole[1:], other)]
    assert of[0] == of[1] != of[2]


def test_trees_are_walked() -> None:
    tree = {"a": [1, (2, 3)], "b": 4}
    assert compat.tree_leaves(tree) == [1, 2, 3, 4]
    assert compat.tree_map(lambda leaf: 2 * leaf, tree) == {"a": [2, (4, 6)], "b": 8}


def test_operations_are_counted() -> None:
    left, right = torch.rand(2, 3), torch.rand(3, 5)
    count = compat.flop_registry[torch.ops.aten.mm]
    assert count(left, right, out_val=left @ right) == 2 * 2 * 3 * 5
    shape = torch.Size((1, 2, 5, 8))
    assert compat.sdpa_flop_count(shape, shape, shape) == 2 * 2 * (2 * 5 * 8 * 5)
    backward = compat.sdpa_backward_flop_count(shape, shape, shape, shape)
    assert backward == 5 * 2 * (2 * 5 * 8 * 5)


def test_softmax_of_a_row_that_is_masked_out_is_zero() -> None:
    rows = torch.tensor([[1.0, 2.0], [-torch.inf, -torch.inf]])
    safe = compat.safe_softmax(rows)
    assert torch.equal(safe[0], rows[0].softmax(-1)) and not safe[1].any()


def test_the_gradient_of_softmax_is_that_of_autograd() -> None:
    rows = torch.rand(3, 4, requires_grad=True)
    gradient = torch.rand(3, 4)
    output = rows.softmax(-1)
    output.backward(gradient)
    assert rows.grad is not None
    torch.testing.assert_close(compat.softmax_backward(gradient, output.detach()), rows.grad)
