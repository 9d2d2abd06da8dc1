"""What Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient


def test_requests_and_batches_are_counted(client: Callable[..., TestClient]) -> None:
    server = client("single")
    server.post("/predict", json={"inputs": ["good", "bad"]})
    server.get("/no/such/path")
    page = server.get("/metrics").text
    for line in (
        'welltuned_requests_total{path="/predict",status="200"} 1.0',
        'welltuned_requests_total{path="other",status="404"} 1.0',
        'welltuned_request_seconds_count{path="/predict"} 1.0',
        "welltuned_batch_inputs_sum 2.0",
        "welltuned_batch_seconds_count 1.0",
        "welltuned_waiting_inputs 0.0",
        "welltuned_model_changed 0.0",
    ):
        assert line in page
