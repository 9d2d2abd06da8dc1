"""What every format does alike: its precisions, what it needs, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from exporting import told
from faults import refused
from welltuned.deployment.export.base import ExportFormat, ExportJob, WrittenExport, cannot_hold


class Format(ExportFormat):
    name: ClassVar[str] = "mine"
    precisions: ClassVar[tuple[str, ...]] = ("int8", "fp32")
    extra: ClassVar[str | None] = "mine"
    packages: ClassVar[tuple[str, ...]] = ("json",)

    def write(self, artifact: object, job: ExportJob) -> WrittenExport:
        raise NotImplementedError


def test_the_first_precision_is_the_one_that_nobody_asks_for() -> None:
    assert Format().chosen_precision(None) == "int8"
    assert Format().chosen_precision("fp32") == "fp32"


def test_a_precision_that_it_lacks_is_refused_with_those_it_has() -> None:
    with refused("export.precision_unknown", precision="fp16", known="int8 or fp32"):
        Format().chosen_precision("fp16")


def test_packages_that_are_missing_are_named_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    Format().require_packages()
    monkeypatch.setattr(Format, "packages", ("json", "no_such_a", "no_such_b"))
    with refused("export.package_missing", packages="no_such_a, no_such_b") as caught:
        Format().require_packages()
    assert caught.value.faults[0].remedy == "pip install 'welltuned[mine]'"


def test_what_welltuned_cannot_run_is_not_opened(tmp_path: Path) -> None:
    with refused("export.not_opened_here", place=str(tmp_path), format="mine"):
        Format().open(tmp_path, told())


def test_why_a_model_is_not_held_is_said_with_what_to_do() -> None:
    fault = cannot_hold("mine", "it is {odd}", "export to=plain")
    assert fault.code == "export.cannot_hold" and fault.remedy == "export to=plain"
    assert fault.values["reason"] == "it is {odd}", "braces in a reason are no templates"
