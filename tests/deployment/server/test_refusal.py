"""Errors as JSON."""

from __future__ import annotations

import json

from welltuned.deployment.server.refusal import (
    Refusal,
    as_json,
    error_json,
    faults_of,
    headers_of,
    status_of,
)
from welltuned.errors import Fault, InputError, RunFailed

FAULT = Fault("serve.internal", "it failed", None, "look")


def test_errors_are_written_as_the_command_line_writes_them() -> None:
    assert json.loads(error_json("/predict", 500, [FAULT])) == {"errors": [FAULT.as_dict()]}


def test_openais_clients_find_them_where_they_look() -> None:
    told = json.loads(error_json("/v1/completions", 422, [FAULT, FAULT]))
    assert told["error"]["code"] == "serve.internal" and len(told["errors"]) == 2
    assert told["error"]["type"] == "invalid_request_error"
    assert "it failed" in told["error"]["message"]


def test_a_status_says_whose_error_it_is() -> None:
    errors = [Refusal(429, FAULT, 3), InputError(FAULT), RunFailed(FAULT), KeyError("my secret")]
    assert [status_of(error) for error in errors] == [429, 422, 500, 500]
    assert headers_of(errors[0]) == {"retry-after": "3"}
    assert "secret" not in str(faults_of(errors[3])[0])


def test_secrets_and_half_characters_can_be_written() -> None:
    held = Fault("serve.internal", "it holds {what}", None, "", what="sk-abcdefghijklmnopqrstuv")
    assert b"sk-abc" not in error_json("/predict", 500, [held])
    assert as_json({"a": "\ud800"}) == b'{"a":"\\ud800"}'
    assert as_json({"a": "好"}) == '{"a":"好"}'.encode()
