"""Speed side by side with the scripts people write, whole process beside whole process.

Each row of the table is a pair of commands that do the same work: one of welltuned's, at its
defaults, and a script of benchmarks/peers in an environment of its own (`make .venv-peers/ready`).
They run in turns, seed after seed, so that whatever else the machine does meets both; a ratio is
one round's, peer over ours. Both are given the same files.

`run` measures, and keeps each round in benchmarks/results/speed.json as soon as it has ended. A
row goes on from the rounds that are there, where they are of the same code, machine and number of
examples; else it begins anew. `write` puts the numbers into docs/performance.md, into the README
and into their Chinese twins. No number there is typed.

    python benchmarks/bench.py run --rounds 3
    python benchmarks/bench.py run --rows head partial1 --examples 500 --rounds 1
    python benchmarks/bench.py write
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speed import limits, page, start
from speed.place import ROOT, Failed, Place, circumstances, set_of
from speed.rounds import NotHere
from speed.rows import ROWS

RESULTS = ROOT / "benchmarks/results/speed.json"
OTHERS = ("start", "limit", "scaling")
"""What is measured without another side."""
SAME = ("data", "examples", "code", "cpu", "cores", "versions")
"""What rounds must agree in to stand in one row."""


def run(options: argparse.Namespace) -> None:
    """Measure the rows that are asked for, one after the other; one that fails stops no other.

    Raises `SystemExit` at the end where one has failed.
    """
    kept, failed = read(options.out), []
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), options.data, options.examples, options.language_model)
        for name in options.rows:
            try:
                if name in ROWS:
                    measure(name, place, options.rounds, kept, options.out)
                else:
                    measure_alone(name, place, options.sizes, kept, options.out)
            except NotHere as reason:
                print(f"{name}: left out: {reason}", flush=True)
            except Failed as error:
                print(f"{name}: failed: {error}", flush=True)
                failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def measure(name: str, place: Place, rounds: int, kept: dict[str, Any], out: Path) -> None:
    """The rounds of a row that are not there yet."""
    now = {"data": set_of(place.data), "examples": place.examples, **circumstances()}
    before = kept["rows"].get(name)
    row = before if before is not None and is_like(before, now) else {**now, "rounds": []}
    done = {one["seed"] for one in row["rounds"]}
    for seed in range(rounds):
        if seed in done:
            continue
        found = ROWS[name].measure(replace(place, seed=seed), kept["rows"])
        row["rounds"].append(found)
        row["date"] = now["date"]
        kept["rows"][name] = row
        write_results(kept, out)
        print(page.line(name, row), flush=True)


def measure_alone(
    name: str, place: Place, sizes: Sequence[int], kept: dict[str, Any], out: Path
) -> None:
    """Starts, the share of the limit, or the costs by number of examples."""
    if name == "start":
        kept[name] = {**circumstances(), "rounds": start.measure_starts(place)}
        write_results(kept, out)
    elif name == "limit":
        kept[name] = {**circumstances(), "steps": limits.share_of_limit(place)}
        write_results(kept, out)
    else:
        kept[name] = {**circumstances(), "points": []}
        for point in limits.scaled(place, list(sizes)):
            kept[name]["points"].append(point)
            write_results(kept, out)
            print(json.dumps(point), flush=True)
    print(f"{name}: {json.dumps(kept[name])}", flush=True)


def is_like(row: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a row's rounds were measured as they would be now."""
    return all(row.get(what) == now[what] for what in SAME)


def read(file: Path) -> dict[str, Any]:
    """All that was measured so far."""
    if file.exists():
        return dict(json.loads(file.read_text(encoding="utf-8")))
    return {"rows": {}}


def write_results(kept: dict[str, Any], file: Path) -> None:
    """Keep all that was measured; a kill in between leaves the file as it was."""
    beside = file.with_suffix(".tmp")
    beside.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    beside.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("run", help="measure, and keep the results")
    measuring.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    measuring.add_argument("--examples", type=int, default=2000)
    measuring.add_argument("--rounds", type=int, default=3)
    every = [*ROWS, *OTHERS]
    measuring.add_argument("--rows", nargs="+", choices=every, default=every, metavar="ROW")
    measuring.add_argument("--language-model", type=Path, help="a folder, for sft and dpo")
    measuring.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    measuring.add_argument("--out", type=Path, default=RESULTS)
    verbs.add_parser("write", help="put what was measured into the pages")
    options = parser.parse_args()
    run(options) if options.verb == "run" else page.write(read(RESULTS))


if __name__ == "__main__":
    main()
