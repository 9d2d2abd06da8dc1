"""Bodies of requests, and what is said of those that cannot be read."""

from __future__ import annotations

import pytest

from welltuned.deployment.server.bodies import ChatBody, PredictBody, read_body
from welltuned.deployment.server.refusal import Refusal


def asked(raw: bytes, most: int = 10) -> list[object]:
    return read_body(PredictBody, raw).asked(most)


@pytest.mark.parametrize(
    ("raw", "inputs"),
    [
        (b'{"input": "a"}', ["a"]),
        (b'{"input": ["a", "b"]}', [["a", "b"]]),
        (b'{"inputs": ["a", ["b", "c"], {"text": "d"}, 5]}', ["a", ["b", "c"], {"text": "d"}, 5]),
        (b'{"input": null}', [None]),
        (b'\xef\xbb\xbf{"input": "a"}', ["a"]),
        ('{"input": "好"}'.encode(), ["好"]),
    ],
)
def test_one_input_or_several(raw: bytes, inputs: list[object]) -> None:
    assert asked(raw) == inputs


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "serve.body_not_json"),
        (b"{", 400, "serve.body_not_json"),
        (b"[" * 10**5, 400, "serve.body_not_json"),
        (b'{"input": ' + b"9" * 5000 + b"}", 400, "serve.body_not_json"),
        (b'{"input": "\xff"}', 400, "serve.body_not_utf8"),
        ('{"input": "a"}'.encode("utf-16"), 400, "serve.body_not_utf8"),
        (b'"a"', 422, "serve.body_not_an_object"),
        (b'["a"]', 422, "serve.body_not_an_object"),
        (b"{}", 422, "serve.inputs_missing"),
        (b'{"inputs": []}', 422, "serve.inputs_missing"),
        (b'{"input": "a", "inputs": ["b"]}', 422, "serve.inputs_missing"),
        (b'{"inputs": "a"}', 422, "serve.body_key_wrong"),
        (b'{"text": "a"}', 422, "serve.body_key_wrong"),
        (b'{"inputs": [1,2,3,4,5,6,7,8,9,10,11]}', 413, "serve.too_many_inputs"),
    ],
)
def test_what_cannot_be_read_is_told(raw: bytes, status: int, code: str) -> None:
    with pytest.raises(Refusal) as error:
        asked(raw)
    assert (error.value.status, error.value.faults[0].code) == (status, code)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    raw = b'{"messages": [], "temperature": -1, "stream": "yes"}'
    with pytest.raises(Refusal) as error:
        read_body(ChatBody, raw)
    keys = {fault.values["key"] for fault in error.value.faults}
    assert keys == {"messages", "temperature", "stream"}
