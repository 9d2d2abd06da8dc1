"""Where a run took place."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy
import pytest
import torch

from welltuned.runs import environment
from welltuned.runs.environment import describe_environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository that the package seems to lie in."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    module = tmp_path / "welltuned" / "runs" / "environment.py"
    module.parent.mkdir(parents=True)
    module.write_text("code")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-m", "first")
    monkeypatch.setattr(environment, "__file__", str(module))
    return module


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_versions_are_those_that_run() -> None:
    found = describe_environment()
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"] == numpy.__version__
    assert str(found["packages"]["torch"]).split("+")[0] == torch.__version__.split("+")[0]


def test_the_machine_is_described() -> None:
    found = describe_environment()
    assert found["cpu"]
    assert found["cpu_count"] == os.cpu_count()
    assert found["memory_bytes"] is None or found["memory_bytes"] > 10**8


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PACKAGES", ("numpy", "no-such-package-here"))
    packages = describe_environment()["packages"]
    assert packages == {"numpy": numpy.__version__, "no-such-package-here": None}


def test_a_checkout_is_known_by_its_commit(checkout: Path) -> None:
    commit = git(checkout.parent, "rev-parse", "HEAD")
    assert describe_environment()["commit"] == commit


def test_a_changed_checkout_says_so(checkout: Path) -> None:
    commit = git(checkout.parent, "rev-parse", "HEAD")
    (checkout.parent / "new.txt").write_text("not tracked, so of no account")
    assert describe_environment()["commit"] == commit
    checkout.write_text("changed")
    environment._commit.cache_clear()  # a process asks once
    assert describe_environment()["commit"] == commit + "+changes"


def test_outside_a_checkout_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert describe_environment()["commit"] is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.setenv("PATH", "")
    assert describe_environment()["commit"] is None


def test_the_description_is_plain_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted_secret")
    text = json.dumps(describe_environment())
    assert "hf_planted_secret" not in text
