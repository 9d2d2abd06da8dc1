"""The bodies of requests: JSON, checked key by key, and every objection as a fault."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from welltuned.deployment.server.refusal import Refusal
from welltuned.errors import Fault


class PredictBody(BaseModel):
    """What /predict is asked: `input` is one, `inputs` are many."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    input: Any = Field(default=None, examples=["A text."])
    """A text; a list of two, for models of pairs; a list of words; or an object by column names."""
    inputs: list[Any] | None = Field(default=None, examples=[["A text.", "Another."]])
    """Several of them."""

    def asked(self, most: int) -> list[object]:
        """The inputs, one or more. Raises `Refusal` where there are none, or too many."""
        given = self.model_fields_set
        if given not in ({"input"}, {"inputs"}) or self.inputs == []:
            raise Refusal(
                422,
                Fault(
                    "serve.inputs_missing",
                    "the body holds no input, or both `input` and `inputs`",
                    None,
                    'send {{"input": "…"}} for one, or {{"inputs": ["…", "…"]}} for several',
                ),
            )
        inputs: list[object] = [self.input] if given == {"input"} else list(self.inputs or ())
        if len(inputs) > most:
            raise Refusal(413, _too_many(len(inputs), most))
        return inputs


class WritingBody(BaseModel):
    """What both of OpenAI's forms have; other keys are looked at by `openai_form`."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)

    model: str | None = None
    """The name that /v1/models tells."""
    stream: bool | None = None
    """Whether the answer is told as it comes, by server-sent events."""
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    """At most; no more than `task.decoding.max_new_tokens` of the model."""
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    stop: str | list[str] | None = None
    """Before which an answer ends."""


class ChatBody(WritingBody):
    """What /v1/chat/completions is asked."""

    messages: list[dict[str, Any]] = Field(
        min_length=1, examples=[[{"role": "user", "content": "Hello."}]]
    )
    tools: list[dict[str, Any]] | None = Field(
        default=None, examples=[[{"type": "function", "function": {"name": "weather"}}]]
    )
    """What the model may call, as JSON schemas; its chat template has to have a place for them."""
    tool_choice: Any = None
    """auto, or none: as if there were no tools."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Another name of `max_tokens`."""


class CompletionBody(WritingBody):
    """What /v1/completions is asked."""

    prompt: str | list[str] = Field(examples=["Once upon a time"])


BodyT = TypeVar("BodyT", bound=BaseModel)


def read_body(kind: type[BodyT], raw: bytes) -> BodyT:
    """The body of a request. Raises `Refusal` with everything that is wrong with it."""
    try:
        return kind.model_validate(_json_object(raw))
    except ValidationError as error:
        raise Refusal(422, [_wrong_key(detail) for detail in error.errors()]) from None


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(400, _not_utf8(error)) from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, _not_json(error)) from None
    if not isinstance(value, dict):
        raise Refusal(
            422,
            Fault(
                "serve.body_not_an_object",
                "the body is JSON, but no object",
                None,
                'send an object, such as {{"input": "…"}}',
            ),
        )
    return value


def _not_utf8(error: UnicodeDecodeError) -> Fault:
    return Fault(
        "serve.body_not_utf8",
        "the body is no UTF-8 at byte {byte:,}",
        None,
        "send JSON in UTF-8",
        byte=error.start + 1,
    )


def _not_json(error: Exception) -> Fault:
    reason = "it is nested too deeply, or has a number of too many digits"
    if isinstance(error, json.JSONDecodeError):
        reason = f"line {error.lineno}, column {error.colno}: {error.msg}"
    return Fault(
        "serve.body_not_json",
        "the body is no JSON: {reason}",
        None,
        'send an object, such as {{"input": "…"}}',
        reason=reason,
    )


def _wrong_key(detail: Any) -> Fault:
    """One of pydantic's errors."""
    return Fault(
        "serve.body_key_wrong",
        "'{key}' of the body: {reason}",
        None,
        "/docs says what it may be",
        key=".".join(map(str, detail["loc"])) or "body",
        reason=detail["msg"],
    )


def _too_many(number: int, most: int) -> Fault:
    return Fault(
        "serve.too_many_inputs",
        "the request has {number:,} inputs, and may have {most:,}",
        None,
        "send them in several requests, or start the server with a higher --max-inputs",
        number=number,
        most=most,
    )
