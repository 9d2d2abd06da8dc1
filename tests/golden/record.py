"""Golden runs: what every version must compute again, bit for bit.

    python tests/golden/record.py                   compare with what is stored
    python tests/golden/record.py --write           store
    python tests/golden/record.py --against main~3  compare with another commit, on any machine

It uses what users use (`wt.train`, configs, the files of a run's folder) and nothing else, so
the package may be rebuilt from the ground while this stays as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from cases import SHORT, every_case
from differences import Record, Runs, describe, differences
from material import write_material

ROOT = Path(__file__).resolve().parents[2]
STORE = Path(__file__).with_name("recorded.json")
_ENVIRONMENT = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")},
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "WELLTUNED_CACHE": str(Path(tempfile.gettempdir()) / "welltuned-golden-cache"),
}
"""Of every process. The speed of the machine is measured once, apart from the user's own cache."""
_OF_THE_MACHINE = re.compile(r"seconds?$|_bytes$|_efficiency$|^phases$|^memory$|^signatures$|^say$")
"""Keys of results.json that speak of clocks, memory and versions, or hold the words of messages
(codes and values are compared), and not of what was computed."""


def main() -> int:
    """Returns the exit status: 1 where anything differs."""
    asked = _arguments()
    names = [name for name in every_case() if asked.only in name]
    if asked.short:
        names = [name for name in names if name in SHORT]
    if asked.against:
        return _against(asked)
    sys.path.insert(0, str(asked.tree.resolve()))  # before any installed copy
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        found = carry_out(names, Path(folder), asked.jobs)
    if asked.write:
        return _store(asked.write, found, len(names) < len(every_case()))
    return _compare(names, found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", nargs="?", const=STORE, type=Path, metavar="FILE")
    parser.add_argument("--against", metavar="REF", help="a commit to compare with")
    parser.add_argument("--short", action="store_true", help="only what ordinary tests repeat")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="only cases named so")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout whose package runs")
    return parser.parse_args()


# --- Running ------------------------------------------------------------------


def carry_out(names: Iterable[str], folder: Path, jobs: int) -> Runs:
    """The named cases, shared out among processes."""
    os.environ.update(_ENVIRONMENT)
    for kept in ("answers", "frozen"):  # other code may have computed them
        shutil.rmtree(Path(_ENVIRONMENT["WELLTUNED_CACHE"]) / kept, ignore_errors=True)
    write_material(folder)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_prepare_process) as pool:
        records: Runs = {}
        for found in pool.map(partial(run_case, folder=folder), names):
            records |= found
    return records


def _prepare_process() -> None:
    """Without the logs of Trainer, of which the engine `hf` is made, and without plug-ins.

    A metric that another package adds would be in every run.
    """
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives
    every = metadata.entry_points

    def own(**asked: Any) -> Any:
        is_ours = str(asked.get("group", "")).startswith("welltuned.")
        return () if is_ours else every(**asked)

    metadata.entry_points = own


def run_case(name: str, folder: Path) -> Runs:
    """A case in a folder of material: its run, and those of its stages where it has any.

    Its paths are relative to the folder, so that no result depends on where that is.
    """
    import welltuned as wt

    with chdir(folder), one_thread():
        try:
            run = wt.train(**every_case()[name], output_dir=f"runs/{name}")
        except Exception as error:
            return {name: {"error": f"{type(error).__name__}: {error}"}}
        return {
            file.parent.relative_to("runs").as_posix(): read(file.parent)
            for file in sorted(Path(run.folder).rglob("results.json"))
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are added up in one order only."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- Reading ------------------------------------------------------------------


def read(run: Path) -> Record:
    """What a finished run has computed, from its folder alone."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    return {
        "losses": _losses(run / "metrics.jsonl"),
        "weights": _digest(run / "model"),
        "results": _without_machine(results),
    }


def _losses(file: Path) -> list[float]:
    """Every training loss that was logged, in order; PPO logs two for each batch."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [row for row in map(json.loads, lines) if row.get("split") == "train"]
    return [row[key] for row in rows for key in ("loss", "policy_loss", "value_loss") if key in row]


def _digest(folder: Path) -> str | None:
    """A hash of all saved tensors, whatever files they are in; None without any."""
    from safetensors import deserialize

    tensors = [
        (name, tensor["dtype"], tensor["shape"], bytes(tensor["data"]))
        for file in folder.glob("*.safetensors")
        for name, tensor in deserialize(file.read_bytes())
    ]
    digest = hashlib.sha256()
    for *described, data in sorted(tensors):
        digest.update(repr(described).encode() + data)
    return digest.hexdigest() if tensors else None


def _without_machine(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_machine(one)
            for key, one in value.items()
            if not _OF_THE_MACHINE.search(key)
        }
    return [_without_machine(one) for one in value] if isinstance(value, list) else value


# --- Comparing ----------------------------------------------------------------


def fingerprint() -> dict[str, str]:
    """All that decides how sums are rounded: where it is equal, runs are equal bit for bit."""
    import torch

    packages = ("torch", "transformers", "peft", "numpy", "scikit-learn")
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        **{name: metadata.version(name) for name in packages},
    }


def _processor() -> str:
    """Maker, family and model: libraries choose their kernels by them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    keys = ("vendor_id", "cpu family", "model")
    return "-".join(re.findall(rf"^(?:{'|'.join(keys)})\s*: (.+)$", text, re.MULTILINE)[:3])


def stored(file: Path = STORE) -> dict[str, Any]:
    """`{fingerprint, runs}`."""
    return json.loads(file.read_text(encoding="utf-8"))


def of_cases(runs: Runs, names: Iterable[str]) -> Runs:
    """The runs of some cases, their stages included."""
    begins = tuple(f"{name}/" for name in names)
    return {name: record for name, record in runs.items() if f"{name}/".startswith(begins)}


def _compare(names: list[str], found: Runs) -> int:
    before = stored()
    exact = before["fingerprint"] == fingerprint()
    if not exact:
        print("recorded on another machine or with other libraries: losses are compared within")
        print("0.1%, weights not at all; --against compares bit for bit here")
    return _tell(differences(of_cases(before["runs"], names), found, exact), len(found))


def _tell(found: dict[str, list[str]], number: int) -> int:
    print(describe(found) if found else f"{number} runs, all equal")
    if found:
        print(f"{len(found)} of {number} runs differ")
    return 1 if found else 0


def _store(file: Path, found: Runs, some: bool) -> int:
    """Write all runs, one a line. Where only some were run, the others stay as they are."""
    failed = {name: [one["error"]] for name, one in found.items() if "error" in one}
    if failed:
        print(describe(failed))
        return 1
    if some and file.exists():
        before = stored(file)
        if before["fingerprint"] != fingerprint():
            print("the others were recorded on another machine: write all of them")
            return 1
        found = {**before["runs"], **found}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found))
    head = json.dumps(fingerprint())
    file.write_text(f'{{"fingerprint": {head},\n"runs": {{\n{lines}\n}}}}\n', encoding="utf-8")
    print(f"{len(found)} runs stored in {file}")
    return 0


def _against(asked: argparse.Namespace) -> int:
    """Record the package of another commit and the present one, each by this very file."""
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        tree, git = Path(folder) / "tree", ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), asked.against], check=True)
        try:
            before = _recorded(tree, Path(folder) / "before.json", asked)
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
        after = _recorded(asked.tree, Path(folder) / "after.json", asked)
    return _tell(differences(before, after), len(after))


def _recorded(tree: Path, file: Path, asked: argparse.Namespace) -> Runs:
    options = ["--only", asked.only, "--jobs", str(asked.jobs), *["--short"] * asked.short]
    command = [sys.executable, __file__, "--tree", str(tree), "--write", str(file), *options]
    subprocess.run(command, check=True)
    return stored(file)["runs"]


if __name__ == "__main__":
    sys.exit(main())
