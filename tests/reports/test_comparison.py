"""The report of a comparison: one file, made from its folder alone."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, carried_out, values_for, without_processes
from support import make_rows, write_rows
from welltuned.experiments.comparison.summary import summarise_comparison
from welltuned.reports.comparison import write_comparison_report
from welltuned.reports.comparison_charts import Point, pareto
from welltuned.runs.comparison_folder import Comparison

NASTY = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Tags with attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if not self.in_style:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def copy(compared: Comparison, tmp_path: Path) -> Comparison:
    return Comparison(Path(shutil.copytree(compared.folder, tmp_path / compared.name)))


@pytest.fixture(scope="module")
def page(compared: Comparison) -> Page:
    return Page(compared.report.read_text(encoding="utf-8"))


def written(comparison: Comparison, language: str | None = None) -> Page:
    return Page(write_comparison_report(comparison, language).read_text(encoding="utf-8"))


def test_the_table_has_every_row_with_its_numbers(compared: Comparison, page: Page) -> None:
    results = compared.results
    for row in results["rows"]:
        score = row["scores"]["macro_f1"]
        shown = {"tf-idf": "tf-idf"}.get(row["name"], row["name"])
        assert re.search(rf"{re.escape(shown)} {score['mean']:.3f}", page.text), row["name"]
    for one in results["standings"]:
        assert f"{one['gap']:.3f} {one['low']:.3f} to {one['high']:.3f}" in page.text


def test_the_recommendation_and_its_command_stand_there(compared: Comparison, page: Page) -> None:
    recommendation = compared.results["recommendation"]
    assert f"Recommendation {recommendation['strategy']} " in page.text
    assert recommendation["command"] in page.text
    assert "The rule: the cheapest of the strategies within the limits" in page.text


def test_everything_else_is_there(page: Page) -> None:
    headings = {tag["id"] for tag in page.all("h2")}
    assert headings == {
        "choice", "table", "cost", "curves", "classes", "disputed", "labels-to-check", "sure",
        "data", "again",
    }  # fmt: skip
    assert {tag["aria-labelledby"] for tag in page.all("section")} == headings
    labels = [str(chart["aria-label"]) for chart in page.all("svg")]
    assert labels == [
        "Test macro-F1 of each strategy, by seed",
        "Test macro-F1 against the time of training",
        "Validation macro-F1 over the time of training",
    ]
    assert "welltuned compare …" in page.text
    assert re.search(r"welltuned train \S+/cells/head/seed-0/config.yaml output_dir=", page.text)
    assert "torch 2" in page.text


def test_nothing_is_fetched_and_it_is_small(compared: Comparison, page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert compared.report.stat().st_size < 2_000_000
    html = compared.report.read_text(encoding="utf-8")
    assert not re.search(r"#1[0-7]0[0-7]0[0-7]", html), "a stand-in colour was left"
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_the_report_needs_nothing_but_the_folder(copy: Comparison) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from welltuned.reports.comparison import write_comparison_report\n"
        "from welltuned.runs.comparison_folder import Comparison\n"
        "write_comparison_report(Comparison(Path(sys.argv[1])))\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    copy.report.unlink()
    subprocess.run([sys.executable, "-c", code, str(copy.folder)], check=True, timeout=120)
    assert copy.report.exists()


def test_disputed_examples_are_shown_with_every_answer(copy: Comparison) -> None:
    """The one on which one strategy is always right and the other never comes first."""
    for slug, answer in (("head", "right"), ("lora-r=2", "wrong")):
        for seed in (0, 1):
            run = copy.cell(slug, seed)
            rows = list(run.read_lines("predictions.jsonl"))
            for row in rows:
                row["prediction"] = row["label"]
            rows[3] |= {"label": "right", "prediction": answer, "text": "the disputed text"}
            rows[5] |= {"label": "right", "text": "half disputed"}
            rows[5]["prediction"] = "right" if slug == "head" or seed else "other"
            run.write_lines("predictions.jsonl", rows)
    text = written(copy).text
    assert re.search("the disputed text right (right wrong|wrong right) half disputed right", text)
    assert "right 1, other 1" in text or "other 1, right 1" in text
    assert rows[0]["text"] not in text


def test_retention_and_probe_have_tables_and_charts(copy: Comparison) -> None:
    for slug, kept in (("head", 1.0), ("lora-r=2", 0.9)):
        for seed in (0, 1):
            run = copy.cell(slug, seed)
            values = {"before": 3.0, "after": 3.0 / kept, "kept": kept, "kind": ""}
            probe = {"before": [0.5, 0.61], "after": [0.5, 0.987]}
            run.write(
                "results.json",
                {**run.results, "retention": {"general text": values}, "probe": probe},
            )
    (copy.folder / "results.json").unlink()
    summarise_comparison(copy)
    page = written(copy)
    assert "Forgetting" in page.text and "general text" in page.text
    assert re.search(r"below the best .*?kept training", page.text), "a column of the table"
    assert "90.0%" in page.text and "0.987" in page.text
    labels = [str(chart["aria-label"]) for chart in page.all("svg")]
    assert "Test macro-F1 against what is kept of general text" in labels
    assert "What a linear probe reads from each block, before and after" in labels


def test_it_speaks_chinese(copy: Comparison) -> None:
    page = written(copy, "zh")
    assert page.all("html")[0]["lang"] == "zh"
    assert "选哪种策略？" in page.text and "推荐" in page.text
    for english in ("Recommendation", "macro-F1", "over seeds", "the best", "Per class"):
        assert english not in page.text, english
    record = copy.record
    copy.write("comparison.json", {**record, "report": {"language": "zh"}})
    assert written(copy).all("html")[0]["lang"] == "zh"


def test_words_of_users_are_shown_and_not_obeyed(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script tag as label, as text and as the name of a strategy."""
    without_processes(monkeypatch)
    names = {"positive": NASTY, "negative": '"><svg onload=x> {braces}'}
    rows = [
        {"text": f"{NASTY} {row['text']}", "label": names[row["label"]]} for row in make_rows(60)
    ]
    values = values_for(
        tiny("bert"), write_rows(tmp_path / "nasty.jsonl", rows), tmp_path / "<b>bold", seeds=1,
        strategies=[{**HEAD, "name": NASTY}, {"type": "lora", "name": "{x} & $y_1$"}],
    )  # fmt: skip
    for language in ("en", "zh"):
        comparison = carried_out({**values, "report": {"language": language}})
        page = Page(comparison.report.read_text(encoding="utf-8"))
        assert not {"script", "b"} & {tag for tag, _ in page.tags}
        assert all("onload" not in attributes for _, attributes in page.tags)
        for told in (NASTY, names["negative"], "{x} & $y_1$", "<b>bold"):
            assert told in page.text, told
    run_page = Page(
        (
            comparison.folder / comparison.record["rows"][0]["cells"][0]["folder"] / "report.html"
        ).read_text()
    )
    assert "script" not in {tag for tag, _ in run_page.tags}


def test_a_comparison_in_which_all_failed_has_a_report(copy: Comparison) -> None:
    record = copy.record
    for row in record["rows"]:
        for cell in row["cells"]:
            shutil.rmtree(copy.folder / cell["folder"])
            cell |= {"state": "failed", "error": "MemoryError"}
    copy.write("comparison.json", record)
    assert summarise_comparison(copy)["best"] is None
    page = written(copy)
    assert "Recommendation none" in page.text
    assert "head, seed 0, failed: MemoryError" in page.text


def test_the_front_is_what_nothing_beats_in_both() -> None:
    points: list[Point] = [
        {"name": name, "number": 0, "x": x, "y": y}
        for name, x, y in (
            ("a", 1, 0.5),
            ("b", 2, 0.4),
            ("c", 3, 0.7),
            ("d", 3, 0.6),
            ("e", 9, 0.7),
        )
    ]
    assert [p["name"] for p in pareto(points, lower_is_better=False)] == ["a", "c"]
    assert [p["name"] for p in pareto(points, lower_is_better=True)] == ["a", "b"]


def test_charts_hold_their_numbers_as_a_table(compared: Comparison, page: Page) -> None:
    looks = [
        row
        for row in compared.cell("head", 0).read_lines("metrics.jsonl")
        if row["split"] == "validation"
    ]
    other = [
        row
        for row in compared.cell("head", 1).read_lines("metrics.jsonl")
        if row["split"] == "validation"
    ]
    mean = (looks[-1]["macro_f1"] + other[-1]["macro_f1"]) / 2
    assert f"{mean:.3f} (" in page.text
    assert json.dumps(page.tags).count("The numbers") == 0, "it is text, not an attribute"


def test_labels_of_equal_scores_do_not_meet() -> None:
    """Every row has a height of its own, whatever the scores."""
    from welltuned.reports.comparison_charts import Dots, score_dots
    from welltuned.reports.translations import Translator

    for language in ("en", "zh"):
        say = Translator(language)
        names = [say(name) for name in ("tf-idf", "untouched", "majority")]
        dots: list[Dots] = [
            {"name": name, "mean": 0.5, "values": [0.5], "interval": None, "in_group": False}
            for name in names
        ]
        chart = score_dots(dots, say("macro-F1"), say)
        heights = [float(re.findall(rf' y="([\d.]+)"[^>]*>{name}<', chart)[0]) for name in names]
        gaps = [below - above for above, below in itertools.pairwise(heights)]
        assert all(gap > 15 for gap in gaps), "letters are 10 points high"
