"""The working folder chooses no code: a file in it that is called as a library is, is not run."""

from __future__ import annotations

import queue
import subprocess
import sys
from pathlib import Path

import pytest

from welltuned.experiments.executors.local import LocalPool
from welltuned.runs.child_python import child_environment, module_command

LIBRARIES = ("yaml", "json", "dataclasses", "numpy", "pydantic", "typer")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose files tell that they were run: `RAN` is the file that they write."""
    folder = tmp_path / "work"
    folder.mkdir()
    ran = tmp_path / "ran"
    for name in LIBRARIES:
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name!r})\n")
    (folder / "handler_of_test.py").write_text("def run(request, tell):\n    tell('done')\n")
    monkeypatch.chdir(folder)
    return ran


def test_python_itself_would_run_it(hostile: Path) -> None:
    subprocess.run([sys.executable, "-c", "import yaml"], capture_output=True)
    assert hostile.read_text() == "yaml"


@pytest.mark.parametrize("forks", [False, True])
def test_workers_do_not(hostile: Path, forks: bool) -> None:
    if forks and not sys.platform.startswith("linux"):
        pytest.skip("forks on Linux alone")
    events: queue.Queue[object] = queue.Queue()
    with LocalPool(forks=forks, preloaded=LIBRARIES) as pool:
        worker = pool.start({"do": "handler_of_test:run"}, events)  # type: ignore[arg-type]
        while (event := events.get(timeout=60)).name != "ended":  # type: ignore[attr-defined]
            pass
        worker.stop()
    assert not hostile.exists()
    assert "handler_of_test" in event.values["error"]  # type: ignore[attr-defined]


def test_what_the_parent_can_import_its_children_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_the_script.py").write_text("print('found')")
    monkeypatch.syspath_prepend(tmp_path)
    done = subprocess.run(
        module_command("beside_the_script"), env=child_environment(), capture_output=True, text=True
    )
    assert done.stdout == "found\n", done.stderr
