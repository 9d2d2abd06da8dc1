"""Tools that a conversation may call: what they are, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from welltuned.deployment.server.bodies import ChatBody
from welltuned.deployment.server.refusal import Refusal
from welltuned.errors import Fault

TOOL_CHOICES = ("none", "auto")
"""Whether they may be called. A call that is required could not be promised."""

Tool = Mapping[str, object]
"""A JSON schema in OpenAI's form: `{"type": "function", "function": {"name": …}}`."""


def asked_tools(body: ChatBody, are_read: bool) -> list[Tool]:
    """The tools that may be called. Raises `Refusal` where the model's template reads none."""
    tools: list[Tool] = [] if body.tool_choice == "none" else [*(body.tools or [])]
    if tools and not are_read:
        raise Refusal(
            422,
            Fault(
                "serve.tools_unread",
                "the model's chat template has no place for tools",
                None,
                "leave 'tools' out, or describe them in a system message",
            ),
        )
    return tools


def names_of(tools: Sequence[Tool]) -> frozenset[str]:
    """What they are called. Raises `Refusal` for one without a name."""
    functions = [tool.get("function", tool) for tool in tools]
    names = [one.get("name") if isinstance(one, dict) else None for one in functions]
    if not all(isinstance(name, str) for name in names):
        raise Refusal(
            422,
            Fault(
                "serve.tool_without_name",
                "a tool has no name",
                None,
                'write each as {{"type": "function", "function": {{"name": "…"}}}}',
            ),
        )
    return frozenset(map(str, names))
