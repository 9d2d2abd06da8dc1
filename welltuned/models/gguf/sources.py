"""Which GGUF file a model's name leads to: its own path, or one in a folder, a package, the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from welltuned.errors import Fault, InputError
from welltuned.models.gguf.header import GGUF
from welltuned.models.locations import PACKAGE, is_model_or_run, model_inside, package_folder
from welltuned.schema.local_path import is_local_path


def find_gguf(name: str, chosen: str | None, revision: str | None) -> Path | None:
    """The file; None where a name leads to anything else.

    `chosen` is one of several in a folder or on the Hub. Raises `InputError` where it is not there,
    where several are and none is chosen, and for a package that is not installed.
    """
    path = Path(name).expanduser()
    if name.startswith(PACKAGE):
        folder, pattern = package_folder(name.removeprefix(PACKAGE)), "**/*"
        holds_another = model_inside(folder) is not None
    elif path.is_dir():
        folder, pattern, holds_another = path, "*", is_model_or_run(path)
    elif chosen is not None:
        return _on_hub(name, chosen, revision)
    else:
        return path if path.suffix.lower() == GGUF and path.is_file() else None
    if chosen is None and holds_another:
        return None
    files = _files_in(folder, pattern)
    if chosen is not None:
        return _chosen(name, chosen, folder, files)
    return _only_one(name, files) if files else None


def _files_in(folder: Path, pattern: str) -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if file.suffix.lower() == GGUF)


def _chosen(name: str, chosen: str, folder: Path, files: Sequence[Path]) -> Path:
    if (file := folder / chosen).is_file():
        return file
    known = [one.relative_to(folder).as_posix() for one in files]
    raise InputError(
        Fault(
            "model.gguf_file_missing",
            "'{name}' has no GGUF file '{file}'",
            None,
            "set model.gguf_file to a file that is there: {known}",
            name=name,
            file=chosen,
            known=", ".join(known) or "there is none",
        )
    )


def _only_one(name: str, files: Sequence[Path]) -> Path:
    if len(files) == 1:
        return files[0]
    raise InputError(
        Fault(
            "model.gguf_several_files",
            "'{name}' has several GGUF files: {files}",
            None,
            "set model.gguf_file to one of them",
            name=name,
            files=", ".join(file.name for file in files),
        )
    )


def _on_hub(name: str, chosen: str, revision: str | None) -> Path:
    from welltuned.models.compat.transformers_api import file_of_model

    found = None
    if not is_local_path(name) and not Path(name).expanduser().exists():
        found = file_of_model(name, chosen, "", revision)
    if found is None:
        raise InputError(
            Fault(
                "model.gguf_file_unreachable",
                "there is no GGUF file '{file}' to be had of '{name}'",
                None,
                "check both names; offline, give the folder that the file lies in",
                name=name,
                file=chosen,
            )
        )
    return found
