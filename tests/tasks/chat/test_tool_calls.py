"""Tools reach a template that reads them as OpenAI's form has them, and any other as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from talking import CHATML, byte_tokenizer
from welltuned.data.layouts.conversations import convert_conversations
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.tasks.chat import calls_as_text, findings, parse_calls, prompt_of, render_chat
from welltuned.tasks.chat.tool_calls import names_called

HERMES = (  # the form of Qwen2 and others: tools in the system text, calls as JSON between tags
    "{% if tools %}<|im_start|>system{{ '\n' }}"
    "{{ messages[0].content + '\n' if messages[0].role == 'system' else '' }}"
    "{% for tool in tools %}{{ tool | tojson + '\n' }}{% endfor %}<|im_end|>{{ '\n' }}{% endif %}"
    "{% for m in messages if not (tools and m.role == 'system') %}"
    "{% if m.role == 'tool' %}<|im_start|>user{{ '\n<tool_response>\n' + m.content }}"
    "{{ '\n</tool_response>' }}{% else %}<|im_start|>{{ m.role + '\n' + m.content }}{% endif %}"
    "{% for call in m.tool_calls or [] %}{{ '\n<tool_call>\n' }}"
    "{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}"
    "{{ '\n</tool_call>' }}{% endfor %}<|im_end|>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"
)
LLAMA = (  # one call for an answer, without a tag, and results of a role of their own
    "{{ bos_token }}{% if tools %}{{ 'Tools: ' + tools | tojson + '</s>' }}{% endif %}"
    "{% for m in messages %}{% if m.tool_calls %}"
    "{% set f = m.tool_calls[0].function %}<s>assistant{{ '\n\n' }}"
    """{{ '{"name": "' + f.name + '", "parameters": ' + f.arguments | tojson + '}' }}</s>"""
    "{% elif m.role == 'tool' %}<s>ipython{{ '\n\n' + m.content }}</s>"
    "{% else %}<s>{{ m.role + '\n\n' + m.content | trim }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant{{ '\n\n' }}{% endif %}"
)
MISTRAL = (  # calls are told apart by ids
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
    "{% if tools and m == (messages | selectattr('role', 'equalto', 'user') | list)[-1] %}"
    "{{ 'TOOLS' + tools | tojson }}{% endif %}"
    "{{ '[INST]' + m.content + '[/INST]' }}{% elif m.tool_calls %}{% for call in m.tool_calls %}"
    "{{ 'CALL' + call.function | tojson + call.id }}{% endfor %}{{ eos_token }}"
    "{% elif m.role == 'tool' %}{{ 'RESULT' + m.content + m.tool_call_id }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
THOUGHTFUL = HERMES.replace(  # an answer that stands last has a thought, be it empty
    "{{ m.role + '\n' + m.content }}",
    "{{ m.role + '\n' }}{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n' }}"
    "{% endif %}{{ m.content }}",
)
ASKED_TO_THINK = HERMES.replace(  # an answer is made to begin with a thought, and keeps none
    "assistant{{ '\n' }}{% endif %}", "assistant{{ '\n<think>\n' }}{% endif %}"
)
TEMPLATES = {
    "hermes": HERMES,
    "llama": LLAMA,
    "mistral": MISTRAL,
    "thoughtful": THOUGHTFUL,
    "asked to think": ASKED_TO_THINK,
}

TOOL = {
    "type": "function",
    "function": {"name": "sum", "parameters": {"type": "object", "properties": {"of": {}}}},
}
CALL = {"id": "call00001", "type": "function", "function": {"name": "sum", "arguments": {"of": 2}}}
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "Add é and </s>"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "4", "name": "sum", "tool_call_id": "call00001"},
    {"role": "assistant", "content": "It is 4"},
]
"""As OpenAI's form has it."""


def written(call: dict[str, Any]) -> dict[str, Any]:
    """A call as files have it: its arguments JSON within JSON."""
    function = {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}
    return {**call, "function": function}


AS_FILED = [
    {**turn, "content": turn["content"] or None, "tool_calls": [written(CALL)]}
    if "tool_calls" in turn
    else turn
    for turn in TALK
]
SHAREGPT = [
    {"from": "human", "value": "Add é and </s>"},
    {"from": "function_call", "value": '{"name": "sum", "arguments": {"of": 2}}'},
    {"from": "observation", "value": "4"},
    {"from": "gpt", "value": "It is 4"},
]


def read(**cells: Any) -> Any:
    """A row's turns as they are read."""
    faults = Faults()
    table = Table("a.jsonl", {name: [cell] for name, cell in cells.items()}, [1])
    found = convert_conversations(table, {}, faults)
    faults.raise_if_any()
    return found.columns["messages"][0]


every_template = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())


@every_template
@pytest.mark.parametrize("turns", [4, 2])
@pytest.mark.parametrize("tools", [[TOOL], None])
def test_a_template_is_given_what_its_own_library_gives_it(
    template: str, turns: int, tools: Any
) -> None:
    tokenizer = byte_tokenizer(template, bos_token="<s>")
    turned = read(messages=AS_FILED[:turns], tools=json.dumps(tools) if tools else None)
    own = tokenizer.apply_chat_template(TALK[:turns], tools=tools, tokenize=False)
    assert render_chat(tokenizer, turned).text == own
    asked = tokenizer.apply_chat_template(
        TALK[: turns - 1], tools=tools, tokenize=False, add_generation_prompt=True
    )
    assert prompt_of(tokenizer, turned)[0].text == asked


@every_template
def test_calls_are_learned_to_their_end(template: str) -> None:
    tokenizer = byte_tokenizer(template, bos_token="<s>")
    rendered = render_chat(tokenizer, read(messages=AS_FILED, tools=[TOOL]))
    called, said = (rendered.text[start:end] for start, end in rendered.spans)
    assert '"sum"' in called and "2" in called and called.endswith(("<|im_end|>", "</s>"))
    assert "RESULT" not in called and "tool_response" not in called and "4" not in called
    assert said.startswith("It is 4") or said.startswith("<think>")
    assert rendered.lost == ()


@every_template
def test_a_call_is_found_where_the_beginning_is_written_anew(template: str) -> None:
    tokenizer = byte_tokenizer(template, bos_token="<s>")
    again = [
        *AS_FILED,
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "!"},
    ]
    rendered = render_chat(tokenizer, read(messages=again, tools=[TOOL]))
    called = rendered.text[slice(*rendered.spans[0])]
    assert '"sum"' in called and called.endswith(("<|im_end|>", "</s>"))
    assert "RESULT" not in called and "tool_response" not in called and "TOOLS" not in called


def test_sharegpt_calls_are_calls() -> None:
    tokenizer = byte_tokenizer(HERMES)
    bare = [{**t, "tool_calls": [{**CALL, "id": "x"}]} if "tool_calls" in t else t for t in TALK]
    own = tokenizer.apply_chat_template(bare, tools=[TOOL], tokenize=False)
    turned = read(conversations=SHAREGPT, tools=json.dumps([TOOL]))
    assert render_chat(tokenizer, turned).text == own
    assert names_called(turned[1]) == ["sum"]


def test_a_template_without_calls_reads_them_as_text_and_the_tools_are_told_of() -> None:
    tokenizer = byte_tokenizer(CHATML)
    rendered = render_chat(tokenizer, read(messages=AS_FILED, tools=[TOOL]))
    assert '{"name": "sum", "arguments": {"of": 2}}<|im_end|>' in rendered.text
    assert rendered.lost == ("the tools",)
    (said,) = findings(tokenizer, [rendered], [7])
    assert said["code"] == "task.turns_lost" and said["values"]["role"] == "the tools"


def test_tools_that_are_none_or_empty_change_nothing() -> None:
    plain = read(messages=AS_FILED)
    nothings: list[object] = [None, "", [], "[]"]
    for nothing in nothings:
        assert read(messages=AS_FILED, tools=nothing) == plain


def test_calls_in_an_answer_are_compared_without_what_stands_around_them() -> None:
    filed = '{"name": "sum", "arguments": {"of": {"a": 2}}}'
    for answer in (
        f"Let me see.\n<tool_call>\n{filed}\n</tool_call>",
        filed.replace("arguments", "parameters"),
        f'[{{"note": 1}}, {filed}]',
    ):
        assert calls_as_text(answer) == filed
    assert calls_as_text('No {call} here, {"but": 1}') is None


TAGGED = "{{ '<tool_call>' }}" + CHATML
ONE = '{"name": "sum", "arguments": {"of": 2}}'
FOUND = [{"name": "sum", "arguments": '{"of": 2}'}]


def test_an_answer_is_parted_into_words_and_calls_in_the_form_of_its_template() -> None:
    tokenizer = byte_tokenizer(TAGGED)
    answer = f"Let me see.\n<tool_call>\n{ONE}\n</tool_call>"
    assert parse_calls(tokenizer, answer, {"sum"}) == ("Let me see.", FOUND)
    two = f"<tool_call>{ONE}</tool_call><tool_call>{ONE}</tool_call>"
    assert parse_calls(tokenizer, two, {"sum"}) == ("", FOUND * 2)
    assert parse_calls(tokenizer, ONE, {"sum"}) == (ONE, []), "without its tags it is none"


@pytest.mark.parametrize(
    "answer",
    [
        ONE,
        ONE.replace("arguments", "parameters"),
        f"[TOOL_CALLS] [{ONE}]",
        f"<|python_tag|>{ONE}",
    ],
)
def test_where_a_template_has_no_tags_the_whole_answer_is_calls_or_none(answer: str) -> None:
    assert parse_calls(byte_tokenizer(CHATML), answer, {"sum"}) == ("", FOUND)
    said = f"Well: {answer}"
    assert parse_calls(byte_tokenizer(CHATML), said, {"sum"}) == (said, [])


@pytest.mark.parametrize(
    "answer",
    [
        "<tool_call>{broken</tool_call>",
        f"<tool_call>{ONE}</tool_call><tool_call>[]</tool_call>",
        '<tool_call>{"name": "other", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "sum", "arguments": 3}</tool_call>',
        "no call",
    ],
)
def test_what_is_no_whole_call_of_a_known_tool_stays_text(answer: str) -> None:
    assert parse_calls(byte_tokenizer(TAGGED), answer, {"sum"}) == (answer, [])
