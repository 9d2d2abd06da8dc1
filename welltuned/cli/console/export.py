"""An exported model in the terminal: the formats of a run beside the original, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from welltuned.reports.export import EXPORT_PAGE, ExportRow, export_rows, might_change
from welltuned.runs.export_schema import ExportFile
from welltuned.schema.units import size_text


def export_lines(folder: Path, told: ExportFile, beside: list[ExportFile]) -> list[str]:
    """The table of formats, what may be lost, and where everything is."""
    proof = told["proof"]
    lines = []
    if proof is not None:
        score = proof["score"]
        lines += _table(score["metric"], export_rows(beside, told))
        lines += [
            "",
            f"{told['recipe']}: {score['drop']:.2f} points lost on {score['examples']:,} examples "
            f"of {score['split']}; with 95% confidence no more than {score['worst_drop']:.2f} of "
            f"{score['limit']:g} allowed",
        ]
        if (share := might_change(proof)) is not None:
            lines += [f"none of these changed its score; of others up to {share:.1%} might (95%)"]
    if told["kept"]:
        lines += [f"in higher precision, since they cost most: {', '.join(told['kept'])}"]
    lines += [f"folder      {folder}", f"report      {folder / EXPORT_PAGE}"]
    if (folder / "predict.py").exists():
        lines += [f'without torch:  python {folder / "predict.py"} "a text"']
    return lines


def _table(metric: str, rows: Sequence[ExportRow]) -> list[str]:
    heads = ("format", metric, "difference, 95%", "same", "ms", "texts/s", "×", "size")
    table = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    ]


def _cells(row: ExportRow) -> tuple[str, ...]:
    interval, same = row["interval"], row["same"]
    return (
        row["name"],
        f"{row['score']:.4f}",
        "–" if interval is None else f"{interval[0]:+.4f} … {interval[1]:+.4f}",
        "–" if same is None else f"{same:.1%}",
        f"{row['milliseconds']:.2f}",
        f"{row['texts_per_second']:,.0f}",
        f"{row['times']:.2f}",
        size_text(row["bytes"]),
    )
