"""Which GGUF file a name leads to, and where it leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from welltuned.models.available import find_available
from welltuned.models.gguf.sources import find_gguf


def files_in(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `a_gguf_package`; returns its folder."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    folder = files_in(tmp_path / "site" / "a_gguf_package")
    (folder / "__init__.py").write_text("raise RuntimeError('it need not run')")
    return folder


def test_a_path_is_the_file_itself_whatever_its_case(tmp_path: Path) -> None:
    files_in(tmp_path, "one.gguf", "two.GGUF", "three.bin")
    for name in ("one.gguf", "two.GGUF"):
        assert find_gguf(str(tmp_path / name), None, None) == tmp_path / name
    for name in ("three.bin", "four.gguf"):
        assert find_gguf(str(tmp_path / name), None, None) is None


def test_the_only_file_of_a_folder_is_its_model(tmp_path: Path) -> None:
    files_in(tmp_path, "one.gguf", "README.md")
    assert find_gguf(str(tmp_path), None, None) == tmp_path / "one.gguf"
    files_in(tmp_path, "two.gguf")
    with refused("model.gguf_several_files", files="one.gguf, two.gguf"):
        find_gguf(str(tmp_path), None, None)
    assert find_gguf(str(tmp_path), "two.gguf", None) == tmp_path / "two.gguf"
    with refused("model.gguf_file_missing", file="six.gguf", known="one.gguf, two.gguf"):
        find_gguf(str(tmp_path), "six.gguf", None)


@pytest.mark.parametrize("mark", ["config.json", "adapter_config.json", "status.json"])
def test_a_folder_that_is_a_model_or_a_run_is_that(mark: str, tmp_path: Path) -> None:
    """A GGUF file beside it may be an export of it."""
    files_in(tmp_path, "one.gguf", mark)
    assert find_gguf(str(tmp_path), None, None) is None
    assert find_gguf(str(tmp_path), "one.gguf", None) == tmp_path / "one.gguf"


def test_a_package_leads_to_the_file_inside_it(package: Path) -> None:
    assert find_gguf("package:a_gguf_package", None, None) is None
    inside = files_in(package / "weights", "a.gguf") / "a.gguf"
    assert find_gguf("package:a_gguf_package", None, None) == inside
    assert find_gguf("package:a_gguf_package", "weights/a.gguf", None) == inside
    found = find_available("org/no-such-model", ["a_gguf_package"])
    assert found is not None and found.name == "package:a_gguf_package"
    assert found.folder == inside.parent
    files_in(package / "plain", "config.json", "tokenizer_config.json")
    assert find_gguf("package:a_gguf_package", None, None) is None, "a plain folder comes first"


def test_a_package_that_is_missing_is_told_with_its_extra() -> None:
    with refused("model.package_missing", remedy="install the package"):
        find_gguf("package:no_such_package", None, None)


def test_a_file_on_the_hub_is_asked_for_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def have(name: str, file: str, folder: str, revision: str | None) -> Path | None:
        asked.append((name, file, revision))
        return tmp_path / file if file == "a.gguf" else None

    monkeypatch.setattr("welltuned.models.compat.transformers_api.file_of_model", have)
    assert find_gguf("org/model-GGUF", "a.gguf", "v1") == tmp_path / "a.gguf"
    with refused("model.gguf_file_unreachable", name="org/model-GGUF", file="b.gguf"):
        find_gguf("org/model-GGUF", "b.gguf", None)
    with refused("model.gguf_file_unreachable"):
        find_gguf("./no/such/folder", "a.gguf", None)
    assert asked == [("org/model-GGUF", "a.gguf", "v1"), ("org/model-GGUF", "b.gguf", None)]
    assert find_gguf("org/model-GGUF", None, None) is None
