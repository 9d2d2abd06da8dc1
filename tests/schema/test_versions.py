"""Every kind of file says its version; a newer one is refused, and an older one is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from faults import refused
from welltuned.config import read_run_config
from welltuned.errors import Faults, Place
from welltuned.experiments.comparison.config import read_comparison
from welltuned.reports.learning_curve import write_curve_report
from welltuned.reports.sweep import write_sweep_report
from welltuned.rlhf.read_config import load_rlhf_config
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.schema.versions import FileFormat

FORMAT = FileFormat("a letter", 3)
CONFIG = {"model": "m", "data": "d.csv"}


def test_a_file_begins_with_its_version() -> None:
    assert FORMAT.stamp({"a": 1}) == {"schema_version": 3, "a": 1}
    assert next(iter(FORMAT.stamp({"a": 1}))) == "schema_version"


@pytest.mark.parametrize(("written", "version"), [({}, 1), ({"schema_version": 3}, 3)])
def test_this_version_and_older_ones_are_read(
    written: dict[str, Any], version: int, tmp_path: Path
) -> None:
    (tmp_path / "file.json").write_text(json.dumps(written))
    assert FORMAT.check(written, "file.json") == version
    assert FORMAT.read(tmp_path / "file.json") == written


def test_a_newer_version_is_refused_with_what_where_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text('{"schema_version": 4}')
    told: dict[str, Any] = {"content": "a letter", "written": 4, "version": 3}
    with refused("schema.newer_version", place=str(file), **told) as error:
        FORMAT.read(file)
    assert "--upgrade welltuned" in error.value.faults[0].remedy


# --- Each kind of file ------------------------------------------------------------


def read_yaml(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def reader(folder: Path) -> Any:
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump({**CONFIG, "schema_version": 2}))
        return read(file)

    return reader


def raised(read: Callable[[Path, list[str], Faults], Any]) -> Callable[[Path], Any]:
    def reader(file: Path) -> Any:
        config, _ = read(file, [], faults := Faults())
        faults.raise_if_any()
        return config

    return reader


def written(name: str, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def reader(folder: Path) -> Any:
        (folder / name).write_text('{"schema_version": 2}')
        return read(folder)

    return reader


READERS: dict[str, Callable[[Path], Any]] = {
    "a run's config, read": written("config.yaml", lambda folder: Run(folder).config),
    "a run's config, run again": read_yaml(raised(read_run_config)),
    "a comparison's config": read_yaml(raised(read_comparison)),
    "a pipeline's config": read_yaml(lambda file: load_rlhf_config(str(file), [])),
    "a run's results": written("results.json", lambda folder: Run(folder).results),
    "a comparison": written("comparison.json", lambda folder: Comparison(folder).record),
    "a comparison's results": written("results.json", lambda folder: Comparison(folder).results),
    "a sweep": written("sweep.json", write_sweep_report),
    "a learning curve": written("learning_curve.json", write_curve_report),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_newer_file_of_every_kind_is_refused(kind: str, tmp_path: Path) -> None:
    with refused("schema.newer_version", written=2, version=1) as error:
        READERS[kind](tmp_path)
    (fault,) = error.value.faults  # nothing else is said of a file that may be misunderstood
    assert fault.place is not None and Path(fault.place.source).parent == tmp_path


def test_the_place_in_a_config_is_the_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: m\nschema_version: 9\n")
    config, _ = read_run_config(tmp_path / "config.yaml", [], faults := Faults())
    (fault,) = faults
    assert config is None and fault.place == Place(str(tmp_path / "config.yaml"), 2, 1)


def test_a_config_that_a_run_has_written_can_be_run(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"schema_version": 1, **CONFIG}))
    config, _ = read_run_config(file, [], faults := Faults())
    assert config is not None and not len(faults)
