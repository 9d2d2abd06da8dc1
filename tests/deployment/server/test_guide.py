"""What the guide of the server shows is what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import typer

from welltuned.cli import app

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/serving.md").read_text(encoding="utf-8")


def test_the_dockerfile_of_the_guide_is_that_of_the_examples() -> None:
    lines = (ROOT / "examples/Dockerfile").read_text(encoding="utf-8").splitlines()
    (shown,) = re.findall(r"^```dockerfile\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert shown.splitlines() == [line for line in lines if not line.startswith("#")]


def test_the_verb_has_the_options_that_are_shown() -> None:
    verb = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {option for parameter in verb.params for option in parameter.opts}
    dockerfile = (ROOT / "examples/Dockerfile").read_text(encoding="utf-8")
    entry = json.loads(dockerfile.split("ENTRYPOINT ")[1])
    lines = [line for line in GUIDE.splitlines() if line.startswith("welltuned serve")]
    named = {word for line in lines for word in line.split() if word.startswith("--")}
    named |= {word for word in entry if word.startswith("--")}
    named |= set(re.findall(r"`(--(?:max|latency|drain|log|address|refuse)[a-z-]*)`", GUIDE))
    assert len(named) > 6 and named <= known
