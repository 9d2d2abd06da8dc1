"""Which tools may be called, and which requests for them are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from welltuned.deployment.server.bodies import ChatBody, read_body
from welltuned.deployment.server.refusal import Refusal
from welltuned.deployment.server.tools import asked_tools, names_of

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {}}}


def body(**options: Any) -> ChatBody:
    asked = {"messages": [{"role": "user", "content": "was it good"}], **options}
    return read_body(ChatBody, json.dumps(asked).encode())


def code(call: Any, *arguments: Any) -> str:
    with pytest.raises(Refusal) as error:
        call(*arguments)
    assert error.value.status == 422
    return error.value.faults[0].code


def test_tools_are_those_of_the_request_unless_none_may_be_called() -> None:
    assert asked_tools(body(tools=[TOOL]), True) == [TOOL]
    assert names_of([TOOL, {"name": "plain"}]) == {"weather", "plain"}
    assert asked_tools(body(tools=[TOOL], tool_choice="none"), False) == []
    assert asked_tools(body(), False) == [] and names_of([]) == frozenset()


def test_a_template_without_a_place_for_them_is_told() -> None:
    assert code(asked_tools, body(tools=[TOOL]), False) == "serve.tools_unread"


@pytest.mark.parametrize("tool", [{}, {"function": {}}, {"function": "weather"}])
def test_each_has_a_name(tool: Any) -> None:
    assert code(names_of, [TOOL, tool]) == "serve.tool_without_name"
