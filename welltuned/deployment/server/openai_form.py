"""OpenAI's form of chat and completions: what may be asked, and how answers are written.

The keys are those of its API reference (`/v1/chat/completions`, `/v1/completions`). One that would
change the answer and is not supported is refused; one that changes nothing is taken.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from welltuned.data.layouts.message_parsing import Unreadable, as_turns, with_tools
from welltuned.deployment.server.bodies import ChatBody, CompletionBody, WritingBody
from welltuned.deployment.server.conversation import Given, Spoken, Wish
from welltuned.deployment.server.refusal import Refusal
from welltuned.deployment.server.tools import TOOL_CHOICES, Tool
from welltuned.errors import Fault
from welltuned.tasks import Responder

_CHANGE_NOTHING = {
    "metadata",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
}
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
    "tool_choice": TOOL_CHOICES,
    "tools": ([],),
    "top_logprobs": (0,),
}
"""Values that say what is so anyway."""


Written = dict[str, Any]
"""A body, or a part of one, that becomes JSON."""


# --- What is asked -------------------------------------------------------------------


def wish_of(body: WritingBody, responder: Responder) -> Wish:
    """How it is to be decoded. Raises `Refusal` for keys that are not supported."""
    extra = body.model_extra or {}
    refused = [
        key
        for key, value in extra.items()
        if key not in _CHANGE_NOTHING and value is not None and value not in _NEUTRAL.get(key, ())
    ]
    if isinstance(body, ChatBody) and body.tool_choice not in (None, *TOOL_CHOICES):
        refused.append("tool_choice")
    if refused:
        raise Refusal(400, [_unsupported(key) for key in refused])
    limit = body.max_tokens
    if isinstance(body, ChatBody) and body.max_completion_tokens is not None:
        limit = body.max_completion_tokens
    fewer = limit is not None and limit < responder.max_new_tokens
    asked = {
        "max_new_tokens": limit if fewer else None,
        "temperature": body.temperature,
        "top_p": body.top_p,
    }
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return Wish({key: value for key, value in asked.items() if value is not None}, tuple(stops))


def conversation_of(body: ChatBody, reads_turns: bool, tools: Sequence[Tool] = ()) -> Given:
    """The messages as turns, with the tools that they may call.

    Raises `Refusal` where they are none, or cannot be answered.
    """
    try:
        turns = with_tools([*tools] or None, as_turns(body.messages, "messages"), "tools")
    except Unreadable as error:
        raise Refusal(422, error.fault) from None
    if turns[-1]["role"] == "assistant":
        raise Refusal(
            422,
            Fault(
                "serve.nothing_asked",
                "the last message is the assistant's own",
                None,
                "end with a message of the user",
            ),
        )
    if len(turns) > 1 and not reads_turns:
        raise Refusal(
            422,
            Fault(
                "serve.one_message_alone",
                "the model was tuned on plain texts, and reads one message alone",
                None,
                "send the text to go on with as the only message, or ask /v1/completions",
            ),
        )
    _check_texts([turn["content"] for turn in turns[-1:]], [turn["content"] for turn in turns])
    return [{key: said for key, said in turn.items() if key != "weight"} for turn in turns]


def asked_prompts(body: CompletionBody, most: int) -> list[Given]:
    """The texts to go on with. Raises `Refusal` where there is none."""
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    _check_texts(prompts, prompts)
    if len(prompts) > (1 if body.stream else most):
        raise Refusal(
            413,
            Fault(
                "serve.too_many_prompts",
                "the request has {number:,} prompts, and may have {most:,}",
                None,
                "send them in several requests; an answer that is streamed has one prompt",
                number=len(prompts),
                most=1 if body.stream else most,
            ),
        )
    return list(prompts)


def check_model(asked: str | None, served: str) -> None:
    """Raise `Refusal` where another model is asked for."""
    if asked not in (None, served):
        raise Refusal(
            404,
            Fault(
                "serve.model_unknown",
                "no model '{asked}' is served here",
                None,
                "ask for '{served}', or leave the model out",
                asked=asked,
                served=served,
            ),
        )


def _unsupported(key: str) -> Fault:
    return Fault(
        "serve.option_unsupported",
        "'{key}' is not supported, or not with this value",
        None,
        "leave it out",
        key=key,
    )


def _check_texts(filled: Sequence[str], readable: Sequence[str]) -> None:
    """Raise `Refusal` for what is empty where it must not be, or has half a character."""
    if not filled or not all(text.strip() for text in filled):
        raise Refusal(
            422,
            Fault("serve.prompt_empty", "there is no text to answer", None, "send one"),
        )
    try:
        "".join(readable).encode()
    except UnicodeEncodeError:
        raise Refusal(
            422,
            Fault(
                "serve.text_not_unicode",
                "a text holds half a character (a surrogate by itself)",
                None,
                "write the character as UTF-8, or as both halves of its JSON escape",
            ),
        ) from None


# --- What is answered ----------------------------------------------------------------


@dataclass(frozen=True)
class CompletionForm(ABC):
    """How one request's answers are written."""

    prefix: ClassVar[str]
    whole: ClassVar[str]
    chunk: ClassVar[str]
    """What OpenAI calls an answer and a piece of one."""

    model: str
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    @abstractmethod
    def choice(self, spoken: Spoken) -> Written:
        """An answer."""

    @abstractmethod
    def piece(self, text: str) -> Written:
        """What has been added to one."""

    def end(self, spoken: Spoken) -> Written:
        """How it ended; `cut`, which is no key of OpenAI's, where its question was too long."""
        end = {"logprobs": None, "finish_reason": "stop" if spoken.ended else "length"}
        return {**end, "cut": True} if spoken.cut else end

    def opening(self) -> Iterator[Written]:
        """What a stream begins with."""
        return iter(())

    @property
    def waits(self) -> bool:
        """Whether a stream tells an answer as a whole, for only then it is known what it is."""
        return False

    def told_whole(self, spoken: Spoken) -> Iterator[Written]:
        """What a stream that waits tells of the answer."""
        return iter(())

    def body(self, spoken: Sequence[Spoken]) -> Written:
        """All answers at once."""
        choices = [
            {"index": i, **self.choice(one), **self.end(one)} for i, one in enumerate(spoken)
        ]
        return {**self._head(self.whole), "choices": choices, "usage": _usage(spoken)}

    def event(self, text: str) -> Written:
        """A piece of a stream."""
        choice = {"index": 0, **self.piece(text), "logprobs": None, "finish_reason": None}
        return {**self._head(self.chunk), "choices": [choice]}

    def closing(self, spoken: Spoken, with_usage: bool) -> Iterator[Written]:
        """What a stream ends with."""
        head = self._head(self.chunk)
        yield {**head, "choices": [{"index": 0, **self.piece(""), **self.end(spoken)}]}
        if with_usage:
            yield {**head, "choices": [], "usage": _usage([spoken])}

    def _head(self, kind: str) -> Written:
        name = f"{self.prefix}-{self.id}"
        return {"id": name, "object": kind, "created": self.created, "model": self.model}


@dataclass(frozen=True)
class ChatForm(CompletionForm):
    """Of /v1/chat/completions."""

    prefix: ClassVar[str] = "chatcmpl"
    whole: ClassVar[str] = "chat.completion"
    chunk: ClassVar[str] = "chat.completion.chunk"

    parse: Callable[[str], tuple[str, list[dict[str, str]]]] | None = None
    """Parts an answer into its words and its calls of tools, where there are any to call."""

    def choice(self, spoken: Spoken) -> Written:
        words, calls = self._parted(spoken)
        message = {
            "role": "assistant",
            "content": words or (None if calls else ""),
            "refusal": None,
        }
        return {"message": {**message, "tool_calls": calls} if calls else message}

    def end(self, spoken: Spoken) -> Written:
        calls = self._parted(spoken)[1]
        return {**super().end(spoken), **({"finish_reason": "tool_calls"} if calls else {})}

    def piece(self, text: str) -> Written:
        return {"delta": {"content": text} if text else {}}

    def opening(self) -> Iterator[Written]:
        yield self._delta({"role": "assistant", "content": ""})

    @property
    def waits(self) -> bool:
        return self.parse is not None

    def told_whole(self, spoken: Spoken) -> Iterator[Written]:
        words, calls = self._parted(spoken)
        if words:
            yield self.event(words)
        if calls:
            yield self._delta({"tool_calls": [{"index": i, **c} for i, c in enumerate(calls)]})

    def _delta(self, delta: Written) -> Written:
        event = self.event("")
        event["choices"][0]["delta"] = delta
        return event

    def _parted(self, spoken: Spoken) -> tuple[str, list[Written]]:
        """The words of an answer, and its calls as OpenAI writes them."""
        if self.parse is None:
            return spoken.text, []
        words, calls = self.parse(spoken.text)
        return words, [
            {"id": f"call_{self.id}_{i}", "type": "function", "function": call}
            for i, call in enumerate(calls)
        ]


class TextForm(CompletionForm):
    """Of /v1/completions."""

    prefix = "cmpl"
    whole = chunk = "text_completion"

    def choice(self, spoken: Spoken) -> Written:
        return {"text": spoken.text}

    def piece(self, text: str) -> Written:
        return {"text": text}


def _usage(spoken: Sequence[Spoken]) -> dict[str, int]:
    asked = sum(one.prompt_tokens for one in spoken)
    said = sum(one.completion_tokens for one in spoken)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
