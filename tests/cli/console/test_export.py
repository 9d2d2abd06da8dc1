"""An exported model in the terminal."""

from __future__ import annotations

from pathlib import Path

from exporting import told
from welltuned.cli.console.export import export_lines


def test_the_table_has_a_row_for_each_format(tmp_path: Path) -> None:
    (tmp_path / "predict.py").touch()
    own, other = told(), told(format="openvino")
    lines = export_lines(tmp_path, own, [own, other])
    assert lines[0].split()[:2] == ["format", "macro_f1"]
    assert lines[2].split() == [
        "onnx", "int8", "0.8580", "-0.0060", "…", "+0.0020", "99.4%", "2.00", "700", "3.50",
        "23.0", "MB",
    ]  # fmt: skip
    assert len({len(line) for line in lines[:4]}) == 1
    text = "\n".join(lines)
    assert "no more than 0.45 of 0.5 allowed" in text and "layer.3" in text
    assert f"python {tmp_path / 'predict.py'}" in text


def test_without_a_proof_it_says_where_it_is(tmp_path: Path) -> None:
    plain = told(format="plain", proof=None, kept=[])
    assert export_lines(tmp_path, plain, [plain]) == [
        f"folder      {tmp_path}",
        f"report      {tmp_path / 'export.html'}",
    ]
