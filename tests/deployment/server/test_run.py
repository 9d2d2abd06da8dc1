"""A server stops without losing a request: in this process, and as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from faults import fails
from welltuned.deployment.server import run as running
from welltuned.deployment.server.access import Access
from welltuned.deployment.server.app import Service
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.listening import bound, listen
from welltuned.runs import Run

BODY = json.dumps({"inputs": ["a good film", "a bad film"]})


class Load:
    """Clients that ask one request after the other until a server takes no more."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.port = port
        self.statuses: Counter[int] = Counter()
        self.lost: list[str] = []
        """Requests that were sent, and neither answered nor refused."""
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self.statuses[503]:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return  # it was not sent
            try:
                connection.request("POST", "/predict", BODY)
                answer = connection.getresponse()
                whole = json.loads(answer.read())
                assert answer.status != 200 or len(whole["answers"]) == 2
                self.statuses[answer.status] += 1
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost.append(repr(error))
                return
            finally:
                connection.close()

    def wait_for(self, answers: int) -> None:
        until = time.monotonic() + 60
        while self.statuses[200] < answers and not self.lost and time.monotonic() < until:
            time.sleep(0.01)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(running, "_GRACE", 0.3)
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


class Running:
    """A server in a thread of its own, and what it ended with."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.servers: list[running.GracefulServer] = []
        self._service = service
        original = running.GracefulServer

        def noted(*arguments: object) -> running.GracefulServer:
            self.servers.append(original(*arguments))  # type: ignore[arg-type]
            return self.servers[-1]

        monkeypatch.setattr(running, "GracefulServer", noted)
        self.listener = bound("127.0.0.1", 0)
        listen(self.listener)
        self.port = self.listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with closing(self.listener):
            try:
                running.serve_model(self._service, Access(), self.listener)
            except Exception as error:
                self.error = error

    def signal(self) -> None:
        self.servers[0].handle_exit(signal.SIGTERM, None)

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.mark.usefixtures("quick")
def test_a_signal_under_load_loses_no_request(
    service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = service("single")
    server = Running(one, monkeypatch)
    load = Load(server.port)
    load.wait_for(20)
    server.signal()
    server.join()
    load.join()
    assert load.lost == [] and server.error is None
    assert load.statuses[200] >= 20 and set(load.statuses) <= {200, 503}
    assert not one.batcher.alive


@pytest.mark.usefixtures("quick")
def test_what_is_being_answered_is_waited_for_but_not_for_ever(
    service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = service("single", ServerLimits(drain=0.5))
    go_on = threading.Event()
    one.batcher.alone(lambda model: go_on.wait(20))
    server = Running(one, monkeypatch)
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as client:
        client.request("POST", "/predict", BODY)
        while not one.lifecycle.inside:
            time.sleep(0.01)
        server.signal()
        server.join()
    go_on.set()
    with fails("serve.requests_given_up", number=1):
        assert server.error is not None
        raise server.error


@pytest.mark.slow  # a process that imports torch
def test_a_process_prints_a_line_that_works_and_ends_well(answering: Callable[[str], Run]) -> None:
    run = answering("single")
    command = [sys.executable, "-m", "welltuned.cli", "serve", str(run.folder), "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        words = shlex.split(process.stdout.readline())
        url, body = urlsplit(words[1]), words[-1]
        with closing(http.client.HTTPConnection(url.netloc, timeout=60)) as client:
            client.request("POST", url.path, body)
            (row,) = json.loads(client.getresponse().read())["answers"]
            assert set(row["probabilities"]) == {"negative", "positive"}
        load = Load(url.port or 0)
        load.wait_for(50)
        process.send_signal(signal.SIGTERM)
        load.join()
        _, told = process.communicate(timeout=60)
    assert load.lost == [] and set(load.statuses) <= {200, 503}
    assert load.statuses[200] >= 50
    assert process.returncode == 0, told
    assert "good film" not in told
