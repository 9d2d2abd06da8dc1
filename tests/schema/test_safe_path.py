"""The command line, started by `python -m`, runs no file of the working folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_file_called_as_a_library_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "work").mkdir()
    for name in ("yaml", "json", "dataclasses", "pydantic", "typer"):
        file = tmp_path / "work" / f"{name}.py"
        file.write_text(f"open({str(ran)!r}, 'a').write({name!r})\n")
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "welltuned.cli", "--help"],
        cwd=tmp_path / "work",
        env=path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Usage" in done.stdout, done.stderr
    assert not ran.exists()
