"""What the examples come to: each is run as it stands, and its score written into its header.

    python benchmarks/examples.py long_texts adapt groups      # some minutes of two cores for each

Those whose data and model are in a package, and that predict labels. `long_texts` is given the
texts that `benchmarks/long_texts.py --make` writes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import welltuned as wt
from long_texts import example_rows, write_rows
from marked import ROOT

EXAMPLES = ROOT / "examples"


def measure(name: str) -> str:
    """Run an example in a folder of its own; returns the line that its header has from then on."""
    file = EXAMPLES / f"{name}.yaml"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where an example looks for its data
        if name == "long_texts":
            write_rows(Path("long_reviews.jsonl"), example_rows())
        run = wt.train(str(file), observer=wt.Observer())
        splits = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))["splits"]
        line = measured_line(run.results, splits["test"]["rows"])
        os.chdir(ROOT)
    file.write_text(with_line(file.read_text(encoding="utf-8"), line), encoding="utf-8")
    return line


def measured_line(results: Mapping[str, Any], tested: int) -> str:
    """The line of a header: accuracy, its interval, and what answering alike would reach."""
    test = results["test"]
    low, high = test["accuracy_ci95"]
    majority = results["baselines"]["majority"]["accuracy"]
    return (
        f"# Measured: accuracy {test['accuracy']:.3f}, 95% interval {low:.3f} to {high:.3f}, on "
        f"{tested} test texts (majority {majority:.3f})."
    )


def with_line(text: str, line: str) -> str:
    """An example with the line in place of what its header says at its end of a score."""
    return re.sub(r"^# (Not m|M)easured: .*(\n#.*)*$", lambda _: line, text, count=1, flags=re.M)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", help="files in examples/, without .yaml")
    for name in parser.parse_args().names:
        print(f"{name}: {measure(name)}", flush=True)


if __name__ == "__main__":
    main()
