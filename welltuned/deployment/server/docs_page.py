"""The page at /docs: every path with what it takes, from the OpenAPI schema. It fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]
"""A part of an OpenAPI document."""
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#8881;border-radius:4px}"
    "pre{padding:.8rem;overflow-x:auto}code{padding:.1rem .3rem}"
    "table{border-collapse:collapse}td,th{padding:.3rem .8rem .3rem 0;text-align:left;"
    "vertical-align:top}:root{color-scheme:light dark}"
)


def docs_page(schema: Schema) -> str:
    """HTML, from what FastAPI says in OpenAPI's words."""
    info = schema["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
        "<meta name=viewport content='width=device-width'>",
        f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1>",
        f"<p>{escape(info.get('description', ''))} The same for programs: ",
        "<a href=/openapi.json>/openapi.json</a>.</p>",
    ]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parts += _operation(method.upper(), path, operation)
    return "".join(parts)


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema")
    if body:
        yield from _body(body)
        yield f"<pre>{escape(_example(path, body))}</pre>"


def _body(body: Schema) -> Iterator[str]:
    needed = set(body.get("required", ()))
    yield "<table><tr><th>key<th>what it is"
    for key, value in body["properties"].items():
        words = value.get("description", "") + (" Needed." if key in needed else "")
        yield f"<tr><td><code>{escape(key)}</code><td>{escape(words)}"
    yield "</table>"


def _example(path: str, body: Schema) -> str:
    """A line for a shell; of keys that exclude each other, the first."""
    keys = body["properties"].items()
    examples = {key: value["examples"][0] for key, value in keys if "examples" in value}
    chosen = examples if body.get("required") else dict(list(examples.items())[:1])
    return f"curl THIS_SERVER{path} -d '{json.dumps(chosen)}'"
