"""A generator behind the server: OpenAI's form, its stream, and its own client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from welltuned.artifact.predictor import Predictor

Make = Callable[..., TestClient]
ASKED = [{"role": "user", "content": "was it good"}]


@pytest.fixture
def said(loaded: Callable[[str], Predictor]) -> str:
    """What the model answers to what is `ASKED`."""
    (row,) = loaded("talk").predict([ASKED])
    assert len(row["prediction"].split()) > 1, "a model that says nothing shows nothing"
    return str(row["prediction"])


def events(answer: Any) -> list[Any]:
    """What came as server-sent events, without the word that ends them."""
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def content(stream: list[Any]) -> str:
    choices = [choice for event in stream for choice in event["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def test_an_answer_is_that_of_predict(client: Make, said: str) -> None:
    answer = client("talk").post("/v1/chat/completions", json={"messages": ASKED}).json()
    (choice,) = answer["choices"]
    assert answer["object"] == "chat.completion" and answer["model"] == "mine"
    assert choice["message"] == {"role": "assistant", "content": said, "refusal": None}
    usage = answer["usage"]
    assert usage["prompt_tokens"] > 0 and 0 < usage["completion_tokens"] <= 8
    assert choice["finish_reason"] == ("length" if usage["completion_tokens"] == 8 else "stop")


def test_a_stream_says_the_same_in_pieces(client: Make, said: str) -> None:
    body = {"messages": ASKED, "stream": True, "stream_options": {"include_usage": True}}
    answer = client("talk").post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    stream = events(answer)
    assert content(stream) == said
    assert stream[0]["choices"][0]["delta"]["role"] == "assistant"
    assert stream[-2]["choices"][0]["finish_reason"] in ("stop", "length")
    assert stream[-1]["usage"]["completion_tokens"] > 0


def test_fewer_tokens_and_stop_strings_end_an_answer(client: Make, said: str) -> None:
    server = client("talk")

    def ask(**wish: Any) -> Any:
        body = {"messages": ASKED, **wish}
        return server.post("/v1/chat/completions", json=body).json()["choices"][0]

    one = ask(max_tokens=1)
    assert said.startswith(one["message"]["content"]) and one["finish_reason"] == "length"
    last = said.split()[-1]
    stopped = ask(stop=[last])
    assert stopped["message"]["content"] == said[: said.find(last)].strip()
    assert stopped["finish_reason"] == "stop"
    assert ask(temperature=0.0)["message"]["content"] == said


def test_a_question_that_was_not_read_whole_is_told(client: Make) -> None:
    long = [{"role": "user", "content": "was it good " * 100}]
    answer = client("talk").post("/v1/chat/completions", json={"messages": long}).json()
    assert answer["choices"][0]["cut"] is True


def test_prompts_are_gone_on_with(client: Make, loaded: Callable[[str], Predictor]) -> None:
    prompts = ["good film", "was it so"]
    rows = loaded("generation").predict(prompts)
    server = client("generation")
    answer = server.post("/v1/completions", json={"prompt": prompts}).json()
    assert answer["object"] == "text_completion"
    assert [one["text"] for one in answer["choices"]] == [row["prediction"] for row in rows]
    streamed = server.post("/v1/completions", json={"prompt": prompts[0], "stream": True})
    pieces = [choice["text"] for event in events(streamed) for choice in event["choices"]]
    assert "".join(pieces) == rows[0]["prediction"]


def test_a_model_that_fails_in_a_stream_says_so_and_lives(
    client: Make, loaded: Callable[[str], Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(given: object, hear: Callable[[str], object], by: object) -> str:
        hear("it was")
        hear(" so")
        raise RuntimeError("out of words")

    server, body = client("talk"), {"messages": ASKED, "stream": True}
    with monkeypatch.context() as patch:
        patch.setattr(loaded("talk"), "say", fail)
        stream = events(server.post("/v1/chat/completions", json=body))
    assert stream[-1]["error"]["code"] == "serve.internal" and "words" not in str(stream)
    assert content(stream[:-1]).startswith("it was")
    assert "error" not in events(server.post("/v1/chat/completions", json=body))[-1]


def test_a_model_that_fails_before_its_first_word_gives_a_status(
    client: Make, loaded: Callable[[str], Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(given: object, hear: Callable[[str], object], by: object) -> str:
        raise RuntimeError("no words")

    monkeypatch.setattr(loaded("talk"), "say", fail)
    body = {"messages": ASKED, "stream": True}
    assert client("talk").post("/v1/chat/completions", json=body).status_code == 500


# --- OpenAI's own client -------------------------------------------------------------


@pytest.fixture
def official(client: Make) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url="http://localhost/v1",
        api_key="not-needed",
        http_client=client("talk"),
        max_retries=0,
    ) as made:
        yield made


def test_openais_client_asks_and_streams(official: openai.OpenAI, said: str) -> None:
    messages: Any = ASKED
    (model,) = official.models.list().data
    assert model.id == "mine"
    answer = official.chat.completions.create(model=model.id, messages=messages)
    assert answer.choices[0].message.content == said and answer.usage is not None
    stream = official.chat.completions.create(model=model.id, messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == said
    plain = official.completions.create(model=model.id, prompt="was it good")
    assert plain.choices[0].text == said, "a prompt is read as what a user says"


def test_openais_client_understands_our_errors(official: openai.OpenAI) -> None:
    messages: Any = ASKED
    with pytest.raises(openai.NotFoundError, match="no model 'other'"):
        official.chat.completions.create(model="other", messages=messages)
    with pytest.raises(openai.BadRequestError, match="'n' is not supported") as error:
        official.chat.completions.create(model="mine", messages=messages, n=2)
    assert error.value.code == "serve.option_unsupported"
