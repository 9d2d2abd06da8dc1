"""The paths of the server, and what they answer. Needs `welltuned[serve]`; see `__init__`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from welltuned.artifact.answers import ABSTAINED, EMPTY, Row
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.access import Access
from welltuned.deployment.server.batcher import Batcher
from welltuned.deployment.server.bodies import (
    ChatBody,
    CompletionBody,
    PredictBody,
    WritingBody,
    read_body,
)
from welltuned.deployment.server.conversation import Given, spoken_rows
from welltuned.deployment.server.docs_page import docs_page
from welltuned.deployment.server.gate import HEALTH, Gate
from welltuned.deployment.server.lifecycle import Lifecycle
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.measures import Measures
from welltuned.deployment.server.model_files import ModelFiles
from welltuned.deployment.server.openai_form import (
    ChatForm,
    CompletionForm,
    TextForm,
    asked_prompts,
    check_model,
    conversation_of,
    wish_of,
)
from welltuned.deployment.server.refusal import (
    Refusal,
    as_json,
    error_json,
    faults_of,
    headers_of,
    log_failure,
    status_of,
)
from welltuned.deployment.server.tools import asked_tools, names_of
from welltuned.deployment.server.waiting import SpokenStream, unless_gone
from welltuned.errors import Fault, WelltunedError
from welltuned.tasks import Responder
from welltuned.tasks.chat import parse_calls, reads

PREDICT, CHAT, COMPLETIONS = "/predict", "/v1/chat/completions", "/v1/completions"
MODELS, METRICS, DOCS, SCHEMA = "/v1/models", "/metrics", "/docs", "/openapi.json"
PATHS = (PREDICT, CHAT, COMPLETIONS, MODELS, HEALTH, METRICS, DOCS, SCHEMA)
Endpoint = Callable[[Request], Awaitable[Response]]
_STREAMED = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_LAST = b"data: [DONE]\n\n"


@dataclass
class Service:
    """A model that is served, and its paths."""

    predictor: Predictor
    name: str
    files: ModelFiles
    limits: ServerLimits = field(default_factory=ServerLimits)
    log: Callable[[str], object] | None = None
    """Where inputs are written; nowhere, unless somebody asks."""

    def __post_init__(self) -> None:
        self.measures = Measures(PATHS)
        self.lifecycle = Lifecycle()
        self.batcher = Batcher(self.predictor, self.limits, self.measures.batch)
        self._started = time.time()
        responder = self.predictor.problem.responder
        self._reads_turns = responder is not None and responder.reads_turns(
            self.predictor.tokenizer
        )
        self._reads_tools = self._reads_turns and reads(self.predictor.tokenizer, "tools")
        watch = self.measures.watch
        watch("models", "Models that answer side by side.", lambda: self.batcher.models)
        watch("waiting_inputs", "Inputs in the queue.", lambda: self.batcher.waiting)
        watch("inside_requests", "Requests that are answered.", lambda: self.lifecycle.inside)
        watch("model_changed", "1 where the files are others.", lambda: bool(self.files.changed()))

    # --- The paths --------------------------------------------------------------------

    async def predict(self, request: Request) -> Response:
        """One row an input, in order, as `welltuned predict` answers."""
        inputs = read_body(PredictBody, await request.body()).asked(self.limits.inputs)
        self._note(PREDICT, inputs)
        rows = await unless_gone(request, asyncio.wrap_future(self.batcher.submit(inputs)))
        return _json({"model": self.name, "answers": rows}, 200 if _any_readable(rows) else 422)

    async def chat(self, request: Request) -> Response:
        """An answer to a conversation, in OpenAI's form."""
        body = read_body(ChatBody, await request.body())
        responder = self._responder(body)
        tools = asked_tools(body, self._reads_tools)
        given, names = conversation_of(body, self._reads_turns, tools), names_of(tools)
        parse = partial(parse_calls, self.predictor.tokenizer, names=names) if names else None
        form = ChatForm(self.name, parse=parse)
        return await self._write(request, body, [given], form, responder)

    async def complete(self, request: Request) -> Response:
        """An answer to each prompt, in OpenAI's form."""
        body = read_body(CompletionBody, await request.body())
        responder = self._responder(body)
        given = asked_prompts(body, self.limits.inputs)
        return await self._write(request, body, given, TextForm(self.name), responder)

    async def models(self, request: Request) -> Response:
        """The model that is served, in OpenAI's form."""
        model = {
            "id": self.name,
            "object": "model",
            "created": int(self._started),
            "owned_by": "welltuned",
        }
        return _json({"object": "list", "data": [model]})

    async def health(self, request: Request) -> Response:
        """Whether the server answers, and whether the model on disk is still the one it has."""
        states = {"draining": self.lifecycle.draining, "failed": not self.batcher.alive}
        state = next((name for name, is_so in states.items() if is_so), "ok")
        health: dict[str, Any] = {"status": state, "model": self.name}
        if changed := self.files.changed():
            health["changed"] = [_changed(list(changed)).as_dict()]
        return _json(health, 200 if state == "ok" else 503)

    async def metrics(self, request: Request) -> Response:
        """What Prometheus reads."""
        return Response(self.measures.page(), media_type=CONTENT_TYPE_LATEST)

    # --- Answers ----------------------------------------------------------------------

    def _responder(self, body: WritingBody) -> Responder:
        check_model(body.model, self.name)
        responder = self.predictor.problem.responder
        if responder is None:
            raise Refusal(404, _does_not_write(self.predictor.problem.title))
        return responder

    async def _write(
        self,
        request: Request,
        body: WritingBody,
        given: Sequence[Given],
        form: CompletionForm,
        responder: Responder,
    ) -> Response:
        wish = wish_of(body, responder)
        self._note(request.url.path, given)
        if body.stream:
            stream = SpokenStream(self.batcher, given[0], wish)
            await stream.begin(request)
            usage = bool((body.stream_options or {}).get("include_usage"))
            events = _events(stream, form, usage, tells_inputs=self.log is not None)
            return StreamingResponse(events, media_type="text/event-stream", headers=_STREAMED)
        if wish.is_plain:
            answer = self.batcher.submit_then(given, partial(spoken_rows, given))
            spoken = await unless_gone(request, asyncio.wrap_future(answer))
            return _json(form.body(spoken))
        spoken = [await SpokenStream(self.batcher, one, wish).whole(request) for one in given]
        return _json(form.body(spoken))

    def _note(self, path: str, inputs: Sequence[object]) -> None:
        if self.log is not None:
            self.log(json.dumps({"path": path, "inputs": inputs}, default=str))


async def _events(
    stream: SpokenStream, form: CompletionForm, with_usage: bool, tells_inputs: bool
) -> AsyncIterator[bytes]:
    """Server-sent events: the pieces, how the answer ended, and the word that ends the stream."""
    try:
        for event in form.opening():
            yield _event(event)
        async for piece in stream.pieces():
            if not form.waits:
                yield _event(form.event(piece))
        spoken = stream.result()
        told = form.told_whole(spoken) if form.waits else ()
        for event in (*told, *form.closing(spoken, with_usage)):
            yield _event(event)
    except Exception as error:  # the status has been sent; the stream says what went wrong
        log_failure(error, tells_inputs)
        yield b"data: " + error_json(CHAT, status_of(error), faults_of(error)) + b"\n\n"
    finally:
        stream.abandon()
    yield _LAST


def _event(value: Mapping[str, object]) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"


def _json(value: Mapping[str, object], status: int = 200) -> Response:
    return Response(as_json(value), status, media_type="application/json")


def _any_readable(rows: Sequence[Row]) -> bool:
    """Whether one input at least was such that the model could be asked."""
    return any(row.get("code") in (None, EMPTY, ABSTAINED) for row in rows)


def _does_not_write(task: str) -> Fault:
    return Fault(
        "serve.not_a_generator",
        "the model does {task}, and writes no text",
        None,
        "POST the inputs to /predict",
        task=task,
    )


def _changed(names: list[str]) -> Fault:
    return Fault(
        "serve.model_changed",
        "files of the model are not those that were loaded: {names}",
        None,
        "answers are those of the loaded one; start the server again to serve the other",
        names=", ".join(names[:5]) + (", …" if len(names) > 5 else ""),
    )


# --- The application -----------------------------------------------------------------


def build_app(service: Service) -> FastAPI:
    """The paths as a FastAPI application, without the gate before it."""
    app = FastAPI(
        title=f"welltuned: {service.name}",
        version="1",
        description=f"A model for {service.predictor.problem.title}.",
        docs_url=None,  # its page would have a browser fetch scripts from elsewhere
        redoc_url=None,
        exception_handlers={
            WelltunedError: _told,
            HTTPException: _told_by_status,
            Exception: _told,
        },
    )
    posted: dict[str, tuple[Endpoint, type[BaseModel]]] = {
        PREDICT: (service.predict, PredictBody),
        CHAT: (service.chat, ChatBody),
        COMPLETIONS: (service.complete, CompletionBody),
    }
    for path, (answer, body) in posted.items():
        app.add_api_route(path, answer, methods=["POST"], openapi_extra=_described(body))
    read = {MODELS: service.models, HEALTH: service.health, METRICS: service.metrics}
    for path, answer in read.items():
        app.add_api_route(path, answer, methods=["GET"])

    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    app.add_api_route(DOCS, docs, methods=["GET"], include_in_schema=False)
    return app


def gated(service: Service, access: Access) -> Gate:
    """The whole server as an ASGI application."""
    return Gate(
        build_app(service),
        access,
        service.limits,
        service.lifecycle,
        service.measures,
        tells_inputs=service.log is not None,
    )


def _described(body: type[BaseModel]) -> dict[str, Any]:
    """A body for OpenAPI, which cannot see it: it is read by `read_body`, whose errors are ours."""
    content = {"application/json": {"schema": body.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def _told(request: Request, error: Exception) -> Response:
    """An error as its faults. One that is none of ours goes on to the gate, which logs it."""
    if isinstance(error, WelltunedError):
        log_failure(error, with_words=False)
    status = status_of(error)
    told = error_json(request.url.path, status, faults_of(error))
    return Response(told, status, headers_of(error), media_type="application/json")


async def _told_by_status(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    fault = Fault(
        "serve.no_such_path",
        "{method} {path} is nothing that the server does",
        None,
        "/docs lists what it does",
        method=request.method,
        path=request.url.path[:200],
    )
    told = error_json(request.url.path, status, [fault])
    return Response(told, status, media_type="application/json")
