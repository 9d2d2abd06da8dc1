"""Known vulnerabilities of the pinned dependencies, by pip-audit.

`make check` calls it. Where pip-audit is not installed, or cannot ask in time, it says so and
passes: a machine without a network can be checked too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 15
COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt")),
    *("--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "5"),
    *("--format", "json"),
)


def audit(command: Sequence[str] = COMMAND, seconds: float = SECONDS) -> tuple[list[str], str]:
    """The vulnerabilities, a line each, and how far they were looked for."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], f"dependencies not audited: no answer within {seconds:g} s"
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return [], f"dependencies not audited: {reason}"
    asked = [package for package in packages if "vulns" in package]
    found = [
        f"{package['name']} {package['version']}: {one['id']}, fixed in "
        f"{', '.join(one['fix_versions']) or 'no version yet'}"
        for package in asked
        for one in package["vulns"]
    ]
    return found, f"{len(asked)} of {len(packages)} dependencies audited, {len(found)} findings"


if __name__ == "__main__":
    vulnerabilities, told = audit()
    print("\n".join([*vulnerabilities, told]))
    sys.exit(any("no version yet" not in line for line in vulnerabilities))
