"""The page of every config key, `docs/config.md`, written from the config types.

`make reference` writes it, and `tests/docs/test_config_reference.py` holds it equal.
"""

from __future__ import annotations

from pathlib import Path

from welltuned.config import RunConfig
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.search.config import CurveConfig, SweepConfig
from welltuned.rlhf.config import RlhfConfig
from welltuned.schema.part import Part
from welltuned.schema.plugins import without_plugins
from welltuned.schema.reference import Key, Section, sections

PAGE = Path(__file__).resolve().parents[1] / "config.md"
WHOLE: dict[type[Part], str] = {
    RunConfig: "A run",
    RlhfConfig: "A pipeline, `pipeline: rlhf`",
    AdaptConfig: "Texts first, `pipeline: adapt`",
    CompareConfig: "A comparison",
    SweepConfig: "A sweep",
    CurveConfig: "A learning curve",
}
HEAD = """\
# Every key of a config

This page is written from the config types by `make reference`; `welltuned help KEY` prints the
same for one key. A key is written in YAML, or on the command line as `training.learning_rate=1e-4`.
A part may be written as its `type` alone: `strategy: lora` is `strategy: {type: lora}`.

A comparison, a sweep and a learning curve take every key of a run, and those named here besides.
*auto* is resolved before training, printed with its source, and written to the run's `config.yaml`.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page of today, whatever plug-ins are installed where it is written."""
    with without_plugins():
        return "\n".join([HEAD, *(_section(one) for one in sections(list(WHOLE)))])


def _section(section: Section) -> str:
    title, doc = _title(section), " ".join(section.doc.split())
    lines = [f"## {title}", "", f"{doc} Source: `{_name(section.part)}`.", ""]
    if len(section.paths) > 1:
        also = ", ".join(f"`{path}`" for path in section.paths[1:])
        lines += [f"Stands at {also} too.", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, section.keys), ""])


def _title(section: Section) -> str:
    if not section.paths:
        return WHOLE[section.part]
    return f"`{section.paths[0]}`" + (f", `type: {section.variant}`" if section.variant else "")


def _row(key: Key) -> str:
    meaning = [key.doc]
    if key.search:
        meaning.append(f"A sweep tries it {key.search}.")
    if key.declared_in is not key.owner:
        meaning.append(f"Source: `{key.source}`.")
    cells = (f"`{key.key}`", key.accepts, _as_code(key.default), " ".join(filter(None, meaning)))
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _as_code(default: str) -> str:
    """A default as it is written; words about it stay prose."""
    return default if default in PROSE else f"`{default}`"


PROSE = ("required", "not set", "every key at its default")


def _name(part: type[Part]) -> str:
    return f"{part.__module__}.{part.__qualname__}"


def _escaped(cell: str) -> str:
    """A bar would end the cell."""
    return cell.replace("|", "\\|")


if __name__ == "__main__":
    main()
