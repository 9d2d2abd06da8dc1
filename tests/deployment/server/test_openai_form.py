"""What may be asked in OpenAI's form, and how answers are written."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from welltuned.deployment.server.bodies import ChatBody, CompletionBody, read_body
from welltuned.deployment.server.conversation import Spoken, Wish
from welltuned.deployment.server.openai_form import (
    ChatForm,
    TextForm,
    asked_prompts,
    check_model,
    conversation_of,
    wish_of,
)
from welltuned.deployment.server.refusal import Refusal
from welltuned.tasks.generation import Generation
from welltuned.tasks.generation.responder import TextResponder

RESPONDER = TextResponder(Generation(), "chat")
ASKED = [{"role": "user", "content": "was it good"}]


def chat(messages: Any = ASKED, **options: Any) -> ChatBody:
    return read_body(ChatBody, json.dumps({"messages": messages, **options}).encode())


def completion(prompt: Any = "was it", **options: Any) -> CompletionBody:
    return read_body(CompletionBody, json.dumps({"prompt": prompt, **options}).encode())


def told(call: Any, *arguments: Any) -> tuple[int, list[str]]:
    with pytest.raises(Refusal) as error:
        call(*arguments)
    return error.value.status, [fault.code for fault in error.value.faults]


# --- How it is decoded ---------------------------------------------------------------


def test_a_plain_request_is_decoded_as_the_model_is() -> None:
    assert wish_of(chat(), RESPONDER) == Wish() and Wish().is_plain


def test_wishes_are_taken() -> None:
    body = chat(temperature=0.5, top_p=0.9, max_tokens=7, stop="END")
    decoding = {"temperature": 0.5, "top_p": 0.9, "max_new_tokens": 7}
    assert wish_of(body, RESPONDER) == Wish(decoding, ("END",))
    assert wish_of(chat(max_completion_tokens=3, max_tokens=9), RESPONDER).decoding == {
        "max_new_tokens": 3
    }


def test_no_answer_is_longer_than_the_model_was_made_for() -> None:
    """What a prompt may hold is what is left of the model's length beside its longest answer."""
    assert wish_of(chat(max_tokens=10**6), RESPONDER).is_plain


def test_keys_that_change_nothing_are_taken() -> None:
    body = chat(n=1, user="me", logprobs=False, tools=[], presence_penalty=0.0, seed=None)
    assert wish_of(body, RESPONDER).is_plain


@pytest.mark.parametrize(
    "option", [{"n": 2}, {"tool_choice": "required"}, {"logprobs": True}, {"seed": 1}, {"newer": 3}]
)
def test_keys_that_would_change_the_answer_are_refused(option: dict[str, Any]) -> None:
    status, codes = told(wish_of, chat(**option), RESPONDER)
    assert (status, codes) == (400, ["serve.option_unsupported"])


def test_parameters_reach_the_decoder() -> None:
    changed = RESPONDER.decoding_as(max_new_tokens=7, temperature=0.5)
    assert changed.config.decoding.max_new_tokens == changed.max_new_tokens == 7
    assert changed.config.decoding.temperature == 0.5
    assert RESPONDER.max_new_tokens == 128


# --- What is asked -------------------------------------------------------------------


def test_roles_and_parts_of_messages_are_read_as_in_files() -> None:
    parts = [{"type": "text", "text": "was it "}, {"type": "text", "text": "good"}]
    messages = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": parts}]
    assert conversation_of(chat(messages), True) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "was it good"},
    ]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"role": "alien", "content": "a"}], "data.turn_role_unknown"),
        ([{"role": "user"}], "data.turn_without_content"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "data.turn_part_not_text"),
        ([*ASKED, {"role": "assistant", "content": "yes"}], "serve.nothing_asked"),
        ([{"role": "user", "content": " "}], "serve.prompt_empty"),
        ([{"role": "user", "content": "\ud800"}], "serve.text_not_unicode"),
    ],
)
def test_what_cannot_be_answered_is_told(messages: Any, code: str) -> None:
    assert told(conversation_of, chat(messages), True) == (422, [code])


def test_no_message_is_passed_over() -> None:
    """A model of plain texts reads the last one alone."""
    assert told(conversation_of, chat([*ASKED, *ASKED]), False)[1] == ["serve.one_message_alone"]
    assert conversation_of(chat(), False) == ASKED


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def test_tools_stand_with_the_first_turn() -> None:
    (turn,) = cast(list[Any], conversation_of(chat(tools=[TOOL]), True, [TOOL]))
    assert json.loads(turn["tools"]) == [TOOL] and turn["content"] == ASKED[0]["content"]


def test_calls_and_results_of_earlier_turns_are_kept() -> None:
    called = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
    ]
    turns = cast(list[Any], conversation_of(chat(messages), True, [TOOL]))
    assert json.loads(turns[1]["tool_calls"])[0]["function"]["name"] == "weather"
    assert (turns[2]["role"], turns[2]["content"]) == ("tool", "rain")


def test_prompts_are_one_or_several() -> None:
    assert asked_prompts(completion(), 4) == ["was it"]
    assert asked_prompts(completion(["a", "b"]), 4) == ["a", "b"]
    for body, most in ((completion(["a", "b"]), 1), (completion(["a", "b"], stream=True), 4)):
        assert told(asked_prompts, body, most) == (413, ["serve.too_many_prompts"])
    for empty in ("", [], ["a", ""]):
        assert told(asked_prompts, completion(empty), 4) == (422, ["serve.prompt_empty"])


def test_another_model_is_not_found() -> None:
    check_model(None, "mine")
    check_model("mine", "mine")
    assert told(check_model, "gpt-4", "mine") == (404, ["serve.model_unknown"])


# --- How it is answered --------------------------------------------------------------

SPOKEN = Spoken("it was", prompt_tokens=3, completion_tokens=2, ended=True, cut=False)
BROKEN_OFF = Spoken("it", prompt_tokens=3, completion_tokens=1, ended=False, cut=True)


def test_several_answers_stand_in_order_with_what_they_cost() -> None:
    body = TextForm("mine").body([SPOKEN, BROKEN_OFF])
    assert [choice["text"] for choice in body["choices"]] == ["it was", "it"]
    assert [choice["finish_reason"] for choice in body["choices"]] == ["stop", "length"]
    assert [choice.get("cut") for choice in body["choices"]] == [None, True]
    assert body["usage"] == {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}


def test_a_stream_says_who_speaks_what_is_said_and_how_it_ended() -> None:
    form = ChatForm("mine")
    events = [*form.opening(), form.event("it"), *form.closing(BROKEN_OFF, with_usage=True)]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "it"}, {}]
    assert events[-2]["choices"][0]["finish_reason"] == "length"
    assert events[-1]["choices"] == [] and events[-1]["usage"]["total_tokens"] == 4
    assert len({event["id"] for event in events}) == 1


CALLED = Spoken("a call", prompt_tokens=3, completion_tokens=2, ended=True, cut=False)


def parse(answer: str) -> tuple[str, list[dict[str, str]]]:
    """As if "a call" were one."""
    call = {"name": "weather", "arguments": '{"where": "here"}'}
    return ("", [call]) if answer == "a call" else (answer, [])


def test_a_call_is_told_as_openai_tells_it() -> None:
    types = pytest.importorskip("openai.types.chat")
    form = ChatForm("mine", parse=parse)
    completion = types.ChatCompletion.model_validate(form.body([CALLED]))
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather",
        {"where": "here"},
    )
    plain = types.ChatCompletion.model_validate(form.body([SPOKEN])).choices[0]
    assert (plain.finish_reason, plain.message.content) == ("stop", "it was")
    assert plain.message.tool_calls is None


def test_a_stream_with_tools_waits_until_it_knows_what_the_answer_is() -> None:
    types = pytest.importorskip("openai.types.chat")
    form = ChatForm("mine", parse=parse)
    assert form.waits and not ChatForm("mine").waits
    events = [*form.told_whole(CALLED), *form.closing(CALLED, with_usage=False)]
    first, last = (types.ChatCompletionChunk.model_validate(event) for event in events)
    (call,) = first.choices[0].delta.tool_calls
    assert (call.index, call.function.name) == (0, "weather") and call.id
    assert last.choices[0].finish_reason == "tool_calls"
    (event,) = form.told_whole(SPOKEN)
    assert event["choices"][0]["delta"] == {"content": "it was"}
