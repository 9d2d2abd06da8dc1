"""The export of a run: where it goes, what is refused, and what is left of one that fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest

from faults import refused
from welltuned.deployment.export.base import ExportFormat, ExportJob, WrittenExport
from welltuned.deployment.export.formats import EXPORT_FORMATS
from welltuned.deployment.export.run_export import export_run
from welltuned.errors import InputError, RunFailed
from welltuned.models.checksums import SUMS, check_sums
from welltuned.runs import Run
from welltuned.runs.export_schema import EXPORT_FILE, read_export
from welltuned.schema.versions import EXPORT


class Quick(ExportFormat):
    """Writes one file in no time, or breaks on the way."""

    name: ClassVar[str] = "quick"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")
    breaks: ClassVar[type[BaseException] | None] = None
    job: ClassVar[ExportJob]

    def write(self, artifact: Any, job: ExportJob) -> WrittenExport:
        type(self).job = job
        (job.target / "weights").write_text("1 2 3", encoding="utf-8")
        if self.breaks is not None:
            raise self.breaks
        return WrittenExport(("weights",), "as they are", kept=("layer.1",), told={"more": 7})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> type[Quick]:
    monkeypatch.setitem(EXPORT_FORMATS, "quick", Quick())
    monkeypatch.setattr(Quick, "breaks", None)
    return Quick


# --- What is written ------------------------------------------------------------


def test_an_export_says_what_it_is_of_and_how_it_is_read(
    adapted: Run, tmp_path: Path, quick: type[Quick]
) -> None:
    target = export_run(adapted, "quick", tmp_path / "quick", "int8")
    told: Any = read_export(target)
    assert told["schema_version"] == EXPORT.version
    assert (told["format"], told["precision"], told["recipe"]) == ("quick", "int8", "as they are")
    assert (told["files"], told["kept"], told["more"]) == (["weights"], ["layer.1"], 7)
    assert told["run"] == str(adapted.folder.resolve()) and told["proof"] is None
    assert (told["predictions"], told["labels"]) == ("single_label", ["negative", "positive"])
    assert (told["pad_id"], told["special_tokens"], told["truncation_side"]) == (0, "text", "right")
    assert told["max_length"] == told["model"]["max_length"]
    assert quick.job.drop == 0.5 and quick.job.target == target


def test_every_file_is_hashed(adapted: Run, tmp_path: Path) -> None:
    target = export_run(adapted, "quick", tmp_path / "quick")
    lines = (target / SUMS).read_text(encoding="utf-8").splitlines()
    names = {line.split(maxsplit=1)[1] for line in lines}
    assert names == {file.name for file in target.iterdir()} - {SUMS}
    assert {"weights", EXPORT_FILE, "export.html", "tokenizer.json"} <= names
    (target / "weights").write_text("1 2 4", encoding="utf-8")
    with refused("artifact.file_changed"):
        check_sums(target)


def test_by_default_it_lies_with_its_run_or_beside_its_model(adapted: Run, tmp_path: Path) -> None:
    run = Path(shutil.copytree(adapted.folder, tmp_path / "run"))
    assert export_run(run, "quick") == run / "exports" / "quick-fp32"
    assert export_run(run, "quick", precision="int8") == run / "exports" / "quick-int8"
    alone = Path(shutil.copytree(adapted.model, tmp_path / "alone"))
    assert export_run(alone, "quick") == tmp_path / "alone-quick-fp32"
    assert read_export(tmp_path / "alone-quick-fp32")["run"] is None


# --- What is refused ------------------------------------------------------------


def test_no_export_is_opened_twice_over_another(adapted: Run, tmp_path: Path) -> None:
    target = export_run(adapted, "quick", tmp_path / "quick")
    with refused("export.target_in_use", place=str(target)):
        export_run(adapted, "quick", target)
    check_sums(target)


def test_less_than_nothing_cannot_be_lost(adapted: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        export_run(adapted, "quick", tmp_path / "quick", drop=-1)
    assert not (tmp_path / "quick").exists()


def test_a_precision_is_asked_of_the_format_first(tmp_path: Path) -> None:
    with refused("export.precision_unknown"):
        export_run(tmp_path / "none", "quick", precision="fp16")


def test_an_empty_folder_is_taken(adapted: Run, tmp_path: Path) -> None:
    (tmp_path / "quick").mkdir()
    assert (export_run(adapted.folder, "quick", tmp_path / "quick") / "weights").exists()


def test_a_folder_in_use_is_left_alone(adapted: Run, tmp_path: Path) -> None:
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "precious.txt").write_text("mine")
    with refused("export.target_in_use"):
        export_run(adapted.folder, "quick", tmp_path / "quick")
    assert [path.name for path in (tmp_path / "quick").iterdir()] == ["precious.txt"]


def test_a_file_is_left_alone(adapted: Run, tmp_path: Path) -> None:
    (tmp_path / "quick").write_text("mine")
    with refused("export.target_in_use"):
        export_run(adapted.folder, "quick", tmp_path / "quick")
    assert (tmp_path / "quick").read_text() == "mine"


def test_what_is_no_run_is_refused(tiny: Any, tmp_path: Path) -> None:
    for folder in (tmp_path, tiny("bert")):
        with refused("artifact.neither_run_nor_model"):
            export_run(folder, "quick", tmp_path / "quick")
    with refused("run.folder_missing"):
        export_run(tmp_path / "none", "quick", tmp_path / "quick")


def test_a_run_that_was_not_proved_is_refused(adapted: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapted.folder, tmp_path / "run"))
    (folder / "results.json").unlink()
    Run(folder).set_status("failed")
    with refused("run.without_model"):
        export_run(folder, "quick", tmp_path / "quick")
    assert not (tmp_path / "quick").exists()


# --- What is left of one that fails ---------------------------------------------


@pytest.mark.parametrize("breaks", [RuntimeError, KeyboardInterrupt])
def test_what_breaks_leaves_nothing(
    breaks: type[BaseException],
    adapted: Run,
    tmp_path: Path,
    quick: type[Quick],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quick, "breaks", breaks)
    with pytest.raises(breaks):
        export_run(adapted, "quick", tmp_path / "quick")
    assert not (tmp_path / "quick").exists()


@pytest.mark.parametrize("linked", [False, True])
def test_what_breaks_leaves_a_folder_that_was_there_empty(
    linked: bool, adapted: Run, tmp_path: Path, quick: type[Quick], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "breaks", RuntimeError)
    folder = target = tmp_path / "quick"
    folder.mkdir()
    if linked:
        target = tmp_path / "link"
        target.symlink_to(folder)
    with pytest.raises(RuntimeError):
        export_run(adapted, "quick", target)
    assert target.is_dir() and not list(folder.iterdir())


@pytest.mark.slow
def test_what_loses_too_much_is_refused_and_leaves_nothing(
    adapted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.deployment.export import proof

    monkeypatch.setattr(proof, "points_lost", lambda *given: (3.0, 4.0))
    with refused("export.drop_beyond_limit", error=RunFailed):
        export_run(adapted, "onnx", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
