"""Steps that are imagined have the operations and the bytes of real ones."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from welltuned.training.forecast.meta_tracer import Trace, imagining
from welltuned.training.forecast.operations import ATTENTION, Operation

ROWS, WIDTH, HIDDEN = 8, 16, 64


def make(device: str) -> nn.Module:
    with torch.device(device):
        return nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))


def test_products_are_counted_as_torch_counts_them() -> None:
    real, inputs = make("cpu"), torch.ones(ROWS, WIDTH)
    with FlopCounterMode(display=False) as counter:
        real(inputs).sum().backward()
    imagined = make("meta")
    with imagining(imagined) as trace:
        imagined(inputs.to("meta")).sum().backward()
    assert trace.flops == counter.get_total_flops()


def test_the_peak_holds_weights_gradients_and_what_waits() -> None:
    model = make("meta")
    weights = sum(4 * weight.numel() for weight in model.parameters())
    waiting = 4 * ROWS * HIDDEN  # of the first layer, kept for gelu
    with imagining(model, lambda name: {"0": "first", "2": "last"}.get(name, "")) as trace:
        outputs = model(torch.ones(ROWS, WIDTH, device="meta"))
        assert trace.at_peak["first"] >= waiting
        assert weights + waiting <= trace.live <= trace.peak
        outputs.sum().backward()
    assert trace.at_peak["weights"] == weights
    assert 2 * weights <= trace.peak <= 2 * weights + 8 * waiting, "there are gradients now"


def test_what_is_let_go_is_counted_no_more() -> None:
    with imagining() as trace:
        tensor = torch.ones(1000, device="meta") + 1
        assert trace.live >= tensor.nbytes
        live = trace.live
        del tensor
        assert trace.live <= live - 4000


def test_what_depends_on_no_weight_is_computed() -> None:
    with imagining():
        mask = torch.tensor([1, 1, 0]).bool()
        assert mask.sum().item() == 2


class Dtypes(TorchDispatchMode):
    """Notes of which dtype results are."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, torch.dtype]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        name = func._overloadpacket.__name__
        if name in ("addmm", "mm", "gelu", "gelu_backward"):
            self.seen.append((name, result.dtype))
        return result


def test_under_autocast_numbers_have_the_sizes_of_a_real_step() -> None:
    real, inputs = make("cpu"), torch.ones(ROWS, WIDTH)
    with Dtypes() as dtypes:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = real(inputs).sum()
        loss.backward()
    imagined = make("meta")
    with imagining(imagined) as trace:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = imagined(inputs.to("meta")).sum()
        loss.backward()
    real_half = sorted(name for name, dtype in dtypes.seen if dtype == torch.bfloat16)
    assert real_half == ["addmm", "addmm", "gelu", "gelu_backward", "mm", "mm", "mm"]
    assert halves(trace) == {"addmm": 2, "mm": 3}
    written = 2 * ROWS * HIDDEN
    (gelu,) = (operation for operation in trace.operations if operation.name == "gelu")
    assert gelu.bytes == 2 * written, "two bytes a number, read and written"
    with imagining(imagined) as trace:
        imagined(inputs.to("meta")).sum().backward()
    assert not halves(trace), "and four without it"


def halves(trace: Trace) -> Counter[str]:
    """Products of two bytes a number, by name."""
    found: Counter[str] = Counter()
    for operation, number in trace.operations.items():
        if operation.half and operation.flops:
            found[operation.name] += number
    return found


def test_a_batch_of_products_is_known_as_many_small_ones() -> None:
    left, right = torch.ones(6, 4, 8, device="meta"), torch.ones(6, 8, 5, device="meta")
    with imagining() as trace:
        left @ right
    (operation,) = (operation for operation in trace.operations if operation.flops)
    assert operation.parts == 6 and operation.flops == 2 * 6 * 4 * 8 * 5


def test_attention_is_priced_by_its_scores() -> None:
    queries = torch.ones(2, 3, 7, 4, device="meta")
    keys = torch.ones(2, 3, 9, 4, device="meta")
    with imagining() as trace:
        functional.scaled_dot_product_attention(queries, keys, keys)
    (operation,) = (operation for operation in trace.operations if operation.flops)
    assert operation.name == ATTENTION and operation.elements == 2 * 3 * 7 * 9


def test_only_large_tensors_get_their_memory_anew() -> None:
    large, small = (torch.ones(size, device="meta") for size in (2**23 + 1, 2**10))
    with imagining() as trace:
        large + 1
        small + 1
        large.add_(1)
    assert sorted(o.fresh for o in trace.operations if o.name == "add") == [0, 4 * (2**23 + 1)]
    assert [o.fresh for o in trace.operations if o.name == "add_"] == [0], "it is there already"


def test_views_touch_no_data() -> None:
    numbers = torch.ones(4, 5, device="meta")
    with imagining() as trace:
        numbers.t()
        numbers.view(20)
    assert trace.operations == {Operation("view"): 2}
