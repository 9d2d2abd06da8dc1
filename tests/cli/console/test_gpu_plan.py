"""The memory of each of several GPUs on a terminal: a row for each way, and what to change."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from welltuned.cli.console.gpu_plan import render_gpu_plan
from welltuned.training.forecast.gpu_plan import GpuPlan, Way, WayMemory
from welltuned.training.forecast.gpus import Gpus
from welltuned.training.forecast.rank_memory import RankMemory

LARGE = RankMemory(28 * 10**9, 56 * 10**9, 0, 0, 10**9)
SMALL = RankMemory(7 * 10**9, 10**8, 10**8, 2 * 10**9, 10**9)
ASKED = Way("float32", recomputes=False, sharded=False)
OTHER = Way("bfloat16", recomputes=True, sharded=True)


def lines(*fits: bool, enough: int | None = 2) -> list[str]:
    """The plan of the way that is asked for and of another, and whether each fits."""
    rows = [
        WayMemory(way, way is ASKED, memory, fit)
        for way, memory, fit in zip((ASKED, OTHER), (LARGE, SMALL), fits, strict=True)
    ]
    plan = GpuPlan("org/m", "lora", 7_000_000, 5000, (2, 512), Gpus(2, 24e9), rows, enough)
    console = Console(file=StringIO(), width=200)
    with console.capture() as heard:
        console.print(render_gpu_plan(plan))
    return [line.rstrip() for line in heard.get().splitlines()]


def test_each_way_is_a_row_with_what_it_takes_of_a_gpu() -> None:
    header, asked, other, *_ = lines(False, True)
    assert header.split()[:2] == ["weights", "in"] and header.split()[-1] == "fits"
    assert asked.split()[:4] == ["float32", "(asked)", "all", "no"]
    assert "28.0 GB" in asked and "56.0 GB" in asked and asked.endswith("no")
    assert other.split()[:4] == ["bfloat16", "1/2", "(fsdp2)", "yes"] and other.endswith("yes")


def test_what_was_counted_stands_below() -> None:
    said = lines(True, True)
    assert "model       org/m: 7,000,000 weights, 5,000 train" in said
    assert "step        2 x 512 tokens in the largest micro-batch of a GPU" in said
    assert "GPUs        2 of 24.0 GB" in said


def test_a_change_is_told_where_the_way_that_is_asked_for_does_not_fit() -> None:
    def change(*fits: bool, enough: int | None = 2) -> list[str]:
        said = lines(*fits, enough=enough)
        return [line.split(maxsplit=1)[1] for line in said if line.startswith("change")]

    assert change(True, True) == []
    assert change(False, True) == [f"to fit: {' '.join(OTHER.keys)}"]
    assert change(False, False, enough=16) == ["no way fits; 16 such GPUs would do"]
    (none,) = change(False, False, enough=None)
    assert "on any number" in none
