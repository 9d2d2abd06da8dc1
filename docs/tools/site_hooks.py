"""Pages of the site that are made from other files: READMEs, the API reference, the map of files.

MkDocs calls `on_files` before it builds, `on_page_markdown` with each page that is read and
`on_post_page` with each that is finished.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import readme_tree

ROOT = readme_tree.ROOT
MADE_FROM = {
    "index.md": "README.md",
    "zh/index.md": "README.zh.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
WIDE = "---\nhide: [navigation]\n---\n"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for name, text in {**copies(), **references(), "files.md": files_page()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that leave `docs/`, as to CHANGELOG.md, lead to the pages made from such files."""
    name = page.file.src_uri
    return markdown if page.file.generated_by else moved(markdown, name, f"docs/{name}")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Chinese pages say in which language they are."""
    if page.file.src_uri.startswith("zh/"):
        return output.replace('<html lang="en"', '<html lang="zh"', 1)
    return output


def copies() -> dict[str, str]:
    """Documents from beside `docs/`, with links that lead to the site's pages."""
    return {
        page: WIDE * page.endswith("index.md")
        + moved((ROOT / source).read_text(encoding="utf-8"), page, source)
        for page, source in MADE_FROM.items()
    }


def moved(text: str, page: str, source: str) -> str:
    """A document of the repository whose links are as seen from a page of the site."""
    pages = {source: target for target, source in MADE_FROM.items()}

    def link(found: re.Match[str]) -> str:
        target = os.path.normpath(Path(source).parent / found[1]).replace(os.sep, "/")
        target = pages.get(target, target.removeprefix("docs/"))
        return os.path.relpath(target, Path(page).parent).replace(os.sep, "/")

    return LINK.sub(link, text)


REFERENCES: dict[str, tuple[str, str, list[str]]] = {
    "index": (
        "Python API",
        "What `import welltuned as wt` gives. It is imported in an instant; torch and transformers "
        "come when a function is called.",
        ["welltuned", "welltuned.config", "welltuned.artifact.predictor", "welltuned.runs.folder"],
    ),
    "strategies": ("Strategies", "Which weights train, and when.", ["welltuned.strategies"]),
    "tasks": ("Tasks", "What is to be learned.", ["welltuned.tasks"]),
    "metrics": ("Metrics", "Pure functions of arrays, without torch.", ["welltuned.metrics"]),
    "protections": ("Protections", "Methods against forgetting.", ["welltuned.protection"]),
    "algorithms": (
        "RL algorithms",
        "What a batch of rollouts teaches.",
        ["welltuned.rlhf.algorithms", "welltuned.rlhf.api", "welltuned.rlhf.actors"],
    ),
    "rewards": (
        "Rewards",
        "What is learned from, where it is not a model: rules, each a file.",
        ["welltuned.rlhf.rewards"],
    ),
    "engines": (
        "Engines",
        "An engine of your own is a function `Job -> Outcome`, named in a config by import path.",
        [f"welltuned.engines.{name}" for name in ("job", "events", "step_plan", "config")],
    ),
    "observers": ("Observers", "Who watches a run.", ["welltuned.training.observer"]),
    "errors": ("Errors", "What can go wrong, where, and the remedy.", ["welltuned.errors"]),
}


def references() -> dict[str, str]:
    """The pages of the API reference: each names modules, mkdocstrings reads them."""
    return {
        f"api/{name}.md": "\n\n".join([f"# {title}", intro, *map(_members, _modules(packages))])
        for name, (title, intro, packages) in REFERENCES.items()
    }


def _modules(names: list[str]) -> list[str]:
    """Modules by name; of a package all public modules in it."""
    found = []
    for name in names:
        folder = ROOT / name.replace(".", "/")
        if not folder.is_dir() or name == "welltuned":
            found.append(name)
            continue
        files = sorted(folder.glob("[!_]*.py"), key=lambda file: (file.stem != "base", file.stem))
        found += [f"{name}.{file.stem}" for file in files]
    return found


def _members(module: str) -> str:
    """What mkdocstrings shall put here: a module under its own heading."""
    options = "{show_root_heading: false, show_root_toc_entry: false}"
    return f"## {module.removeprefix('welltuned.')}\n\n::: {module}\n    options: {options}"


def files_page() -> str:
    """Every file of the package with the first sentence of its docstring."""
    lines = [
        "# Every file",
        "Made from the docstrings. Folders come in the order of the import contract: each imports "
        "only from those below it.",
    ]
    for entry in readme_tree.entries():
        if entry.endswith("/"):
            files = sorted((readme_tree.PACKAGE / entry).glob("*.py"))
            rows = [f"| `{file.name}` | {_phrase(file)} |" for file in files]
            lines.append("\n".join([f"## {entry}", "", "| file | |", "|---|---|", *rows]))
    return "\n\n".join(lines)


def _phrase(file: Path) -> str:
    return readme_tree.first_sentence(file).replace("|", "\\|")
