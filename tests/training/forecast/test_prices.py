"""What operations cost on a machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from welltuned.training.forecast.meta_tracer import Trace
from welltuned.training.forecast.operations import ATTENTION, Operation
from welltuned.training.forecast.prices import Machine


def test_a_product_between_two_sizes_takes_a_time_between_theirs(machine: Machine) -> None:
    def seconds(flops: float) -> float:
        return machine.seconds(Trace(operations=Counter({Operation("mm", flops=flops): 1})))

    assert seconds(1e5) == pytest.approx(1e-5 + machine.call)
    assert seconds(1e7) == pytest.approx((1e-5 * 1e-2) ** 0.5 + machine.call)
    assert seconds(1e10) == pytest.approx(1e-1 + machine.call)
    assert seconds(1.0) == pytest.approx(1e-5 + machine.call), "however small, it costs something"


def price(machine: Machine, operation: Operation) -> float:
    """What it costs besides being called."""
    return machine.seconds(Trace(operations=Counter({operation: 1}))) - machine.call


def test_products_of_two_bytes_have_their_own_prices(machine: Machine) -> None:
    fast = replace(machine, matmul_half=((1e5, 1e-6), (1e9, 1e-3)))
    whole, half = (Operation("mm", flops=1e8, half=half) for half in (False, True))
    assert price(fast, half) == pytest.approx(price(fast, whole) / 10)


def test_many_small_products_cost_as_such(machine: Machine) -> None:
    many = Operation("bmm", flops=1e8, parts=1000)
    assert price(machine, many) == pytest.approx(1000 * 1e-5)


def test_a_product_of_much_data_and_little_work_is_priced_by_its_data(machine: Machine) -> None:
    assert price(machine, Operation("mm", bytes=10**9, flops=1e6)) == pytest.approx(0.1)


def test_functions_are_priced_by_elements_and_all_else_by_bytes(machine: Machine) -> None:
    assert price(machine, Operation("gelu", elements=10**6, bytes=10**9)) == pytest.approx(1e-3)
    assert price(machine, Operation("add", elements=10**6, bytes=10**7)) == pytest.approx(1e-3)
    assert price(machine, Operation("view")) == 0
    new = Operation("add", bytes=10**7, fresh=10**7)
    assert price(machine, new) == pytest.approx(2e-3)


def test_attention_is_priced_by_scores_and_products(machine: Machine) -> None:
    operation = Operation(ATTENTION, elements=10**6, bytes=10**9, flops=1e8)
    assert price(machine, operation) == pytest.approx(1e-3 + 1e-3)
    slow = replace(machine, attention_half={ATTENTION: (1e-8, 0.0)})
    assert price(slow, replace(operation, half=True)) == pytest.approx(1e-2)
