"""The page of an exported model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from exporting import scored, told, written
from welltuned.reports.export import export_rows, write_export_report


def page(folder: Path, language: str | None = None) -> tuple[str, str]:
    html = write_export_report(folder, language).read_text(encoding="utf-8")
    bare = re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return html, " ".join(bare.split())


def test_the_formats_of_a_run_stand_beside_the_original(tmp_path: Path) -> None:
    written(tmp_path / "openvino-int8", format="openvino")
    written(tmp_path / "another", format="other", run="/runs/another")
    html, text = page(written(tmp_path / "onnx-int8"))
    assert "<b>mine" not in html and not re.findall(r'(?:src|href)="(?!#)', html)
    assert "original" in text and "openvino int8" in text and "other int8" not in text
    for figure in ("0.860", "0.858", "-0.0060 … +0.0020", "99.4%", "0.21", "3.50", "23.0 MB"):
        assert figure in text, figure
    assert "no more than 0.45" in text and "layer.3" in text and "dynamic int8" in text


def test_where_nothing_changed_it_says_what_that_proves(tmp_path: Path) -> None:
    _, text = page(written(tmp_path / "some"))
    assert "Of other texts" not in text
    own = told()
    assert own["proof"] is not None
    same: Any = {"before": 0.86, "after": 0.86, "difference_ci95": [0.0, 0.0]}
    own["proof"]["score"] = {**scored(0.0, 0.0, 150), "change": same}
    _, text = page(written(tmp_path / "none", proof=own["proof"]))
    assert "None of these 150 examples changed its score" in text and "up to 2.0% might" in text


def test_it_speaks_chinese(tmp_path: Path) -> None:
    html, text = page(written(tmp_path / "onnx-int8"), "zh")
    assert 'lang="zh"' in html and "原模型" in text and "测试" in text


def test_a_plain_folder_has_no_table(tmp_path: Path) -> None:
    _, text = page(written(tmp_path / "plain", format="plain", proof=None, kept=[]))
    assert "Loaded afresh" in text and "texts/s" not in text


def test_rows_are_the_original_and_every_export_with_a_proof() -> None:
    own = told()
    rows = export_rows([own, told(format="plain", proof=None)], own)
    assert [row["name"] for row in rows] == ["original", "onnx int8"]
    assert rows[1]["times"] == 3.5 and rows[0]["interval"] is None
