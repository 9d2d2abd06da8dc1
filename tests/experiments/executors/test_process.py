"""A worker does what it is asked, tells what is wrong, and leaves standard output to events."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.errors import Fault, InputError, Place, RunFailed, Stopped
from welltuned.experiments.executors.process import handle_request


class Told(list[tuple[str, dict[str, Any]]]):
    """Keeps what is told."""

    def __call__(self, event: str, **values: Any) -> None:
        self.append((event, values))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], Any]:
    """`asked(error)`: exit status and events of a request whose work raises `error`."""

    def ask(error: BaseException | None) -> tuple[int, Told]:
        def work(request: Any, tell: Any) -> None:
            tell("started", of=request["name"])
            if error is not None:
                raise error

        monkeypatch.setitem(sys.modules, "of_test", SimpleNamespace(work=work))
        told = Told()
        return handle_request({"do": "of_test:work", "name": "lora"}, told), told

    return ask


def test_a_request_goes_to_who_carries_it_out(asked: Any) -> None:
    status, told = asked(None)
    assert status == 0 and told[0] == ("started", {"of": "lora"})
    event, values = told[1]
    assert event == "finished" and values["memory_bytes"] > 0 and values["cpu_seconds"] >= 0


def test_wrong_input_is_told_fault_by_fault(asked: Any) -> None:
    faults = [
        Fault("data.column_missing", "no column", Place("a.csv", 2, 5), "add it"),
        Fault("data.too_few", "too few", None, "add some"),
    ]
    error = InputError(faults)
    status, told = asked(error)
    assert status == error.exit_status != 0
    event, values = told[-1]
    assert event == "refused"
    assert [Fault.from_dict(each) for each in values["faults"]] == faults


def test_a_run_that_fails_is_told_in_its_words(asked: Any) -> None:
    error = RunFailed(Fault("training.not_finite", "the loss is not finite"))
    status, told = asked(error)
    assert status == error.exit_status
    assert told == [("started", {"of": "lora"}), ("failed", {"error": str(error)})]


def test_who_is_stopped_has_nothing_to_tell(asked: Any) -> None:
    stop = Stopped(15)
    status, told = asked(stop)
    assert status == 128 + 15 and [event for event, _ in told] == ["started"]


def test_what_nobody_foresaw_is_not_swallowed(asked: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        asked(ZeroDivisionError())


PROGRAM = """
import os, time
from welltuned.experiments.executors import process

def work(request, tell):
    print("from Python", flush=True)
    os.system("echo from a library")
    tell("told", value="ä")
    time.sleep(60)

process.run_worker()
"""


def test_only_events_reach_standard_output_and_a_worker_goes_with_its_parent() -> None:
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as worker:
        assert worker.stdin and worker.stdout and worker.stderr
        worker.stdin.write('{"do": "__main__:work", "threads": null}\n')
        worker.stdin.flush()
        first = worker.stdout.readline()
        worker.stdin.close()  # as it is when the parent is gone
        assert worker.wait(timeout=60) == 1
        assert json.loads(first) == {"event": "told", "value": "ä"}
        assert worker.stdout.read() == ""
        assert worker.stderr.read().splitlines() == ["from Python", "from a library"]
