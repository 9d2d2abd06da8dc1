"""Reports in a browser: offline, without errors, readable by everyone, at any width."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from exporting import written
from welltuned.reports.comparison import write_comparison_report as write_comparison
from welltuned.reports.export import write_export_report as write_export
from welltuned.reports.run import write_run_report as write_run
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WORST = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script, from the package that holds it."""
    if importlib.util.find_spec("axe_core_python") is None:
        pytest.skip("axe-core-python is not installed")
    return (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(
    compared: Comparison, finished: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Both reports in both languages, and the page of an export of a run far down."""
    folder, made = tmp_path_factory.mktemp("pages"), {}
    for language in ("en", "zh"):
        for name, file in (
            ("comparison", write_comparison(compared, language)),
            ("run", write_run(finished, language)),
        ):
            made[f"{name}-{language}"] = Path(shutil.copy(file, folder / f"{name}-{language}.html"))
    write_comparison(compared)
    write_run(finished)
    run = "/home/someone/projects/film-reviews/runs/reviews-of-the-year-with-minilm"
    made["export-en"] = write_export(written(folder / "exports" / "onnx-int8", run=run))
    return made


WITH_CHARTS = ["comparison-en", "comparison-zh", "run-en", "run-zh"]


@pytest.fixture(params=[*WITH_CHARTS, "export-en"])
def file(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Path:
    return pages[request.param]


def opened(browser: Any, file: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page offline, its folds unfolded, and what went wrong on the way."""
    wrong: list[str] = []
    page = browser.new_context(offline=True, **options).new_page()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    return page, wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_offline_and_everyone_can_read_it(
    file: Path, scheme: str, browser: Any, axe: str
) -> None:
    page, wrong = opened(browser, file, color_scheme=scheme)
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = [
        (fault["id"], fault["help"], [node["html"][:120] for node in fault["nodes"][:3]])
        for fault in found["violations"]
        if fault["impact"] in WORST
    ]
    assert told == []
    assert wrong == []
    assert len(found["passes"]) > 10, "the check has looked"
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("width", [pytest.param(360, marks=pytest.mark.slow), 390, 1280])
def test_it_does_not_scroll_sideways(file: Path, width: int, browser: Any) -> None:
    """Wide tables scroll by themselves."""
    page, _ = opened(browser, file, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("file", WITH_CHARTS, indirect=True)
def test_its_charts_can_be_seen(file: Path, browser: Any) -> None:
    page, _ = opened(browser, file)
    boxes = [chart.bounding_box() for chart in page.query_selector_all("svg.chart")]
    assert len(boxes) >= 2
    assert all(box["width"] > 200 and box["height"] > 100 for box in boxes)
    drawn = page.evaluate(
        "[...document.querySelectorAll('svg.chart path, svg.chart use')]"
        ".map(mark => getComputedStyle(mark).stroke + getComputedStyle(mark).fill)"
    )
    assert len(set(drawn)) > 3, "colours reach the charts"


def test_it_prints_on_white_paper(pages: dict[str, Path], browser: Any, tmp_path: Path) -> None:
    page, _ = opened(browser, pages["comparison-en"], color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
