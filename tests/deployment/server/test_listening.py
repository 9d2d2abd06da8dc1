"""The socket of a server, and the line that tries it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import closing

import pytest

from faults import refused
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.access import AccessToken
from welltuned.deployment.server.listening import bound, curl_line, example_for, listen, url_of


def test_a_port_in_use_is_told_with_another() -> None:
    with closing(bound("127.0.0.1", 0)) as first:
        listen(first)
        port = first.getsockname()[1]
        with refused("serve.port_in_use", port=port, address="127.0.0.1"):
            bound("127.0.0.1", port)


def test_whoever_was_faster_keeps_the_port() -> None:
    """Two servers that load their models at the same time hold the same port until they listen."""
    with closing(bound("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with closing(bound("127.0.0.1", port)) as second:
            listen(first)
            with refused("serve.port_in_use", port=port):
                listen(second)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with refused("serve.address_refused", address="192.0.2.1"):
        bound("192.0.2.1", 0)


def test_programs_of_this_machine_ask_a_server_of_all_networks_by_loopback() -> None:
    with closing(bound("0.0.0.0", 0)) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_the_line_survives_a_shell_and_holds_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_SECRET", "3f9c-a-token-of-many-letters")
    token = AccessToken.read("env:SERVE_SECRET")
    line = curl_line("http://127.0.0.1:1", "it's good", False, token)
    words = shlex.split(line)
    assert words[:2] == ["curl", "http://127.0.0.1:1/predict"]
    assert words[3] == "Authorization: Bearer $SERVE_SECRET" and "3f9c" not in line
    assert json.loads(words[-1]) == {"input": "it's good"}
    chat = shlex.split(curl_line("http://127.0.0.1:1", "hello", True, None))
    assert chat[1].endswith("/v1/chat/completions")
    assert json.loads(chat[-1])["messages"][0]["content"] == "hello"


@pytest.mark.parametrize("task", ["single", "pairs", "tags", "reward", "chat"])
def test_the_example_is_one_that_the_model_reads(
    task: str, loaded: Callable[[str], Predictor]
) -> None:
    (row,) = loaded(task).predict([example_for(loaded(task))])
    assert row["prediction"] is not None
