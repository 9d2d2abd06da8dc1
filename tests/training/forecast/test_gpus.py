"""GPUs as the command line names them."""

from __future__ import annotations

import pytest

from faults import full
from welltuned.errors import Faults
from welltuned.training.forecast.gpus import Gpus, take_gpus


def test_a_number_and_the_memory_of_each() -> None:
    assert Gpus.read("8x80GB") == Gpus(8, 80e9)
    assert Gpus.read("24GB") == Gpus(1, 24e9)


@pytest.mark.parametrize("written", ["eight", "0x80GB", "-1x80GB", "2x0GB", "xGB", "2.5x80GB", ""])
def test_what_is_no_gpu_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        Gpus.read(written)


def test_gpus_are_taken_from_the_arguments() -> None:
    faults = Faults()
    assert take_gpus(["gpus=2x24GB", "strategy=lora"], faults) == (Gpus(2, 24e9), ["strategy=lora"])
    assert take_gpus(["model=x", "gpus"], faults) == (None, ["model=x", "gpus"])
    assert not len(faults)
    assert take_gpus(["gpus=eight", "model=x"], faults) == (None, ["model=x"])
    (told,) = full(faults)
    assert "plan.bad_gpus" in told and "written=eight" in told
