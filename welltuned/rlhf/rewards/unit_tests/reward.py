"""A response is a program that passes tests."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data.cells import as_list
from welltuned.errors import Fault, InputError
from welltuned.rlhf.rewards.base import Check, Columns
from welltuned.rlhf.rewards.fenced import fenced_blocks
from welltuned.rlhf.rewards.unit_tests.program import ProgramLimits, passed_tests
from welltuned.runs.usable_cores import usable_cores
from welltuned.schema.import_path import RunsCode
from welltuned.schema.part import conflict
from welltuned.schema.units import Duration, Size

_PYTHON = ("python", "python3", "py")


class UnitTests(Check):
    """The share of a row's tests that the Python program in a response passes, or 1 for all."""

    stands_with: ClassVar[Mapping[str, str]] = {"execute": "true"}
    expects: ClassVar[str] = "Python code that fails where the program is wrong, or a list of such"

    type: Literal["unit_tests"] = "unit_tests"
    column: str = Field(default="tests", examples=["test_list"])
    """The column of the prompts' file that holds the tests: Python code, such as asserts, or a list
    of pieces that are counted one by one."""
    execute: Annotated[bool, RunsCode()] = False
    """Has to be true: responses and tests are run on this machine, within limits that hold mistakes
    and not malice."""
    score_by: Literal["all", "share"] = "all"
    """all: 1 where every test passes, else 0; share: the share of them that do."""
    wall_time: Duration = 10.0
    """How long a program and its tests may take."""
    cpu_time: Duration = 5.0
    """How long they may compute; whole seconds, rounded up."""
    memory: Size = float(2**29)
    """How much memory they may have."""

    @model_validator(mode="after")
    def _may_execute(self) -> UnitTests:
        if not self.execute:
            raise conflict(
                "rlhf.execution_not_allowed",
                "'unit_tests' runs what the policy writes, and the tests, on this machine",
                "set execute: true where you want that",
            )
        return self

    @property
    def needed_columns(self) -> tuple[str, ...]:
        return (self.column,)

    def accepts(self, cell: object) -> bool:
        return any(test.strip() for test in _tests_of(cell))

    def require(self) -> None:
        if sys.platform == "win32":
            raise InputError(
                Fault(
                    "rlhf.unit_tests_unlimited",
                    "'unit_tests' limits what programs take, which Windows does otherwise",
                    None,
                    "run it on Linux or macOS, or in WSL",
                )
            )

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        tests = _tests_of(cells[self.column])
        limits = ProgramLimits(self.wall_time, self.cpu_time, self.memory)
        passed = passed_tests(program_in(response), tests, limits)
        return float(all(passed)) if self.score_by == "all" else sum(passed) / len(passed)

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str], columns: Columns | None = None
    ) -> list[float]:
        """Several programs at once, one a core."""
        cells = [{self.column: cell} for cell in (columns or {})[self.column]]
        with ThreadPoolExecutor(max_workers=usable_cores()) as workers:
            return list(workers.map(self.score, responses, cells))


def program_in(response: str) -> str:
    """The blocks of Python between ``` and ```, or else all of a response."""
    blocks = fenced_blocks(response, _PYTHON)
    return "\n".join(blocks) if blocks else response


def _tests_of(cell: object) -> list[str]:
    if cell is None:
        return []
    listed = as_list(cell)
    return [str(cell)] if listed is None else [str(test) for test in listed]
