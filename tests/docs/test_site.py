"""The site of the documents: every page is in its menu, links lead on, nothing is fetched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("mkdocs")

import site_hooks

ROOT = site_hooks.ROOT


class Loader(yaml.SafeLoader):
    """YAML whose tags for Python objects are not followed."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
SETTINGS = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def pages(menu: Any) -> list[str]:
    """The pages that a menu names, in order."""
    if isinstance(menu, str):
        return [menu]
    inner = menu.values() if isinstance(menu, dict) else menu
    return [page for one in inner for page in pages(one)]


def test_every_page_is_in_the_menu_once() -> None:
    written = {
        file.relative_to(ROOT / "docs").as_posix()
        for folder in ("docs", "docs/zh")
        for file in (ROOT / folder).glob("*.md")
    }
    made = {*site_hooks.copies(), *site_hooks.references(), "files.md"}
    assert sorted(pages(SETTINGS["nav"])) == sorted(written | made)


@pytest.mark.parametrize(
    ("source", "link", "page", "moved"),
    [
        ("README.md", "docs/plan.md", "index.md", "plan.md"),
        ("README.zh.md", "docs/zh/plan.md", "zh/index.md", "plan.md"),
        ("README.zh.md", "docs/architecture.md", "zh/index.md", "../architecture.md"),
        ("README.md", "README.zh.md", "index.md", "zh/index.md"),
        ("README.zh.md", "README.md", "zh/index.md", "../index.md"),
        ("README.md", "CONTRIBUTING.md", "index.md", "contributing.md"),
        ("README.md", "docs/sweeps.md#which", "index.md", "sweeps.md#which"),
        ("README.md", "https://arxiv.org/abs/1", "index.md", "https://arxiv.org/abs/1"),
        ("README.md", "#here", "index.md", "#here"),
        ("docs/zh/stability.md", "../../CHANGELOG.md", "zh/stability.md", "../changelog.md"),
        ("docs/stability.md", "zh/stability.md", "stability.md", "zh/stability.md"),
        ("docs/zh/plan.md", "../plan.md", "zh/plan.md", "../plan.md"),
    ],
)
def test_links_lead_to_pages_of_the_site(source: str, link: str, page: str, moved: str) -> None:
    assert site_hooks.moved(f"[word]({link})", page, source) == f"[word]({moved})"


def test_the_reference_names_every_strategy_task_protection_metric_and_algorithm() -> None:
    named = set(re.findall(r"^::: (\S+)", "\n".join(site_hooks.references().values()), re.M))
    for folder in ("strategies", "tasks", "protection", "metrics", "rlhf/algorithms"):
        for file in (ROOT / "welltuned" / folder).glob("[!_]*.py"):
            assert ".".join(file.relative_to(ROOT).with_suffix("").parts) in named
    for module in named:
        file = ROOT / module.replace(".", "/")
        assert file.is_dir() or file.with_suffix(".py").exists(), module


def test_every_module_has_its_line_in_the_map_of_files() -> None:
    page = site_hooks.files_page()
    for folder in (one for one in (ROOT / "welltuned").iterdir() if one.is_dir()):
        for file in folder.glob("*.py"):
            assert f"| `{file.name}` | {site_hooks._phrase(file)} |" in page


def test_nothing_is_asked_of_other_machines() -> None:
    assert SETTINGS["strict"] is True and SETTINGS["theme"]["font"] is False
    assert "extra_javascript" not in SETTINGS
    assert not any("://" in file for file in SETTINGS["extra_css"])
    drawn = [
        file for file in (ROOT / "docs").rglob("*.md") if "```mermaid" in file.read_text("utf-8")
    ]
    assert not drawn, "the site would fetch the script that draws them"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    html = "".join(file.read_text("utf-8") for file in (tmp_path / "site").rglob("*.html"))
    assert not re.search(r"<(?:script|img|iframe)[^>]*src=\"?https?://", html)
    assert not re.search(r"<link[^>]*stylesheet[^>]*https?://", html)
