"""Out of memory is told by what saves some, not by what torch says of its blocks."""

from __future__ import annotations

import pytest
import torch

from faults import fails, refused
from welltuned.engines.memory_faults import choose, lower, telling_memory
from welltuned.errors import Fault, InputError

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total"),
    MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,)"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_it_says_what_to_lower_and_what_is_set_now(error: Exception) -> None:
    remedies = [*lower("batch", 64), *lower("budget", None), *choose("precision", "fp32", "bf16")]
    with (
        fails("run.out_of_memory", doing="training") as caught,
        telling_memory("training", remedies),
    ):
        raise error
    fault = caught.value.faults[0]
    assert fault.remedy == "lower batch (now 64), or set precision=bf16 (now fp32)"
    assert "Allocator" not in str(fault) and "GPU 0" not in str(fault)


@pytest.mark.parametrize(
    ("error", "wanted"),
    list(zip(ERRORS[:3], ["2.50 GiB", "7.45 GiB", "4000000000000 bytes"], strict=True)),
)
def test_it_says_how_much_was_asked_for(error: Exception, wanted: str) -> None:
    with fails("run.out_of_memory") as caught, telling_memory("training", []):
        raise error
    assert wanted in caught.value.faults[0].what


def test_what_is_chosen_already_is_no_advice() -> None:
    assert choose("gradient_checkpointing", True, True) == []
    assert choose("gradient_checkpointing", False, True) == [
        "set gradient_checkpointing=true (now false)"
    ]


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, telling_memory("training", []):
        raise error
    assert caught.value is error


def test_what_has_words_keeps_them() -> None:
    with refused("data.empty"), telling_memory("training", []):
        raise InputError(Fault("data.empty", "out of memory"))
