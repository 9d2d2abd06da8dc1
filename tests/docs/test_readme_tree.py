"""The file tree of both READMEs is the package of today, with a gloss for every entry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import readme_tree


@pytest.mark.parametrize("language", readme_tree.READMES)
def test_the_tree_in_the_readme_is_that_of_the_package(language: str) -> None:
    text = readme_tree.READMES[language].read_text(encoding="utf-8")
    assert text == readme_tree.with_tree(text, language), "run `make tree`"


def test_every_entry_at_the_top_of_the_package_is_drawn() -> None:
    drawn = re.findall(r"^  (\S+)", readme_tree.tree("en"), re.MULTILINE)
    there = [one for one in readme_tree.PACKAGE.iterdir() if one.name != "__pycache__"]
    assert sorted(drawn) == sorted(one.name + "/" * one.is_dir() for one in there)


def test_entries_follow_the_import_contract_from_the_top() -> None:
    drawn = [one.rstrip("/").removesuffix(".py") for one in readme_tree.entries()]
    layers = [one for one in drawn if one in readme_tree.layers()]
    assert layers == sorted(layers, key=readme_tree.layers().index) and layers[0] == "cli"


def test_every_entry_has_a_gloss_in_chinese_and_no_gloss_lacks_its_entry() -> None:
    entries = {*readme_tree.entries(), *(f"/{name}" for name in readme_tree.beside())}
    assert set(readme_tree.chinese()) == entries
    assert all(re.search(r"[\u4e00-\u9fff]", gloss) for gloss in readme_tree.chinese().values())
    table = yaml.safe_load(readme_tree.GLOSSES.read_text(encoding="utf-8"))
    assert set(table["en"]) <= entries


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ('"""One line."""', "One line"),
        ('"""A title\nover two lines.\n\nAnd more."""', "A title over two lines"),
        ('"""First. Second."""', "First"),
        ('"""Sizes 1, 2, 4, … and no stop"""', "Sizes 1, 2, 4, … and no stop"),
    ],
)
def test_a_gloss_is_the_first_sentence(docstring: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(docstring + "\n", encoding="utf-8")
    assert readme_tree.first_sentence(tmp_path / "module.py") == sentence


def test_a_module_without_a_docstring_is_named(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bare\.py has no docstring"):
        readme_tree.first_sentence(tmp_path / "bare.py")


@pytest.mark.parametrize("text", ["no tree", "<!-- tree -->\n```\n```\n<!-- end of tree -->\n" * 2])
def test_a_readme_has_one_tree(text: str) -> None:
    with pytest.raises(ValueError, match="one tree"):
        readme_tree.with_tree(text, "en")
