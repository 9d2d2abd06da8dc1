"""The page of all paths."""

from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient

from welltuned.deployment.server.app import PATHS


def test_it_knows_every_path_and_fetches_nothing(client: Callable[..., TestClient]) -> None:
    server = client("single")
    schema, page = server.get("/openapi.json").json(), server.get("/docs").text
    assert set(schema["paths"]) == set(PATHS) - {"/docs", "/openapi.json"}
    body = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert set(body["schema"]["properties"]) == {"input", "inputs"}
    assert all(f"{path}</code>" in page for path in schema["paths"])
    assert "<script" not in page and "://" not in page
