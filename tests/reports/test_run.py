"""The report of one run: one file, made from the run folder alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from support import make_rows, tune, write_rows
from welltuned.reports.run import write_run_report
from welltuned.runs import Run
from welltuned.schema.messages import render_message

HEAD = {"type": "partial", "num_blocks": 0}
NASTY = "<script>alert('x')</script> & \"<b>\" good"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Page(HTMLParser):
    """What a page holds: its tags with attributes, its text, and what is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def copy(finished: Run, tmp_path: Path) -> Run:
    """A finished run that may be changed."""
    return Run(Path(shutil.copytree(finished.folder, tmp_path / finished.name)))


@pytest.fixture(scope="module")
def page(finished: Run) -> Page:
    return Page(finished.report.read_text(encoding="utf-8"))


def written(run: Run) -> Page:
    return Page(write_run_report(run).read_text(encoding="utf-8"))


def change(run: Run, name: str, update: Callable[[Any], None]) -> None:
    values = run.read(name)
    update(values)
    run.write(name, values)


# --- One file ------------------------------------------------------------------


def test_the_page_is_whole(page: Page) -> None:
    assert page.open == []
    assert page.tags[0][0] == "html" and page.tags[0][1]["lang"] == "en"
    assert {"charset": "utf-8"} in page.all("meta")
    assert any("width=device-width" in str(tag.get("content")) for tag in page.all("meta"))
    assert page.text.count("Scores on the test split") == 1


def test_nothing_is_fetched_from_elsewhere(finished: Run, page: Page) -> None:
    """No script, no style sheet, no picture, no font: the page can be mailed."""
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    html = finished.report.read_text(encoding="utf-8")
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*['\"]?([^)]*)", html))


def test_headings_name_their_sections(page: Page) -> None:
    names = {tag["id"] for tag in page.all("h2")}
    assert {tag["aria-labelledby"] for tag in page.all("section")} == names
    assert len(page.all("h1")) == 1


def test_every_id_is_there_once_and_every_pointer_leads_somewhere(page: Page) -> None:
    """Charts share a page: what one refers to must not be another's."""
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    pointers = set(re.findall(r"#([A-Za-z][\w-]*)", json.dumps(page.tags)))
    assert len(pointers) >= 9
    assert pointers <= set(ids)


def test_the_report_needs_nothing_but_the_folder(copy: Run, finished: Run) -> None:
    """Without torch, and wherever the folder has gone."""
    before = copy.report.read_text(encoding="utf-8")
    copy.report.unlink()
    code = (
        "import sys\nfrom pathlib import Path\nfrom welltuned.reports.run import write_run_report\n"
        "from welltuned.runs import Run\nwrite_run_report(Run(Path(sys.argv[1])))\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(copy.folder)], check=True, timeout=120)
    after = copy.report.read_text(encoding="utf-8")
    where = f"{finished.folder}/config.yaml", f"{copy.folder}/config.yaml"
    assert after == before.replace(*where)


# --- What it says --------------------------------------------------------------


def test_scores_stand_there_as_in_the_results(finished: Run, page: Page) -> None:
    results = finished.results
    for name in ("accuracy", "macro_f1"):
        low, high = results["test"][f"{name}_ci95"]
        assert f"{results['test'][name]:.3f} 95% interval {low:.3f} to {high:.3f}" in page.text
        majority, untrained = (results["baselines"][b][name] for b in ("majority", "untrained"))
        told = f"majority {majority:.3f} · untrained {untrained:.3f} · validation "
        assert told + f"{results['validation'][name]:.3f}" in page.text


def test_other_results_give_another_page(copy: Run) -> None:
    """No number is written into the template."""

    def update(results: dict[str, Any]) -> None:
        results["test"] |= {"accuracy": 0.8765, "accuracy_ci95": [0.8123, 0.9234]}
        results["baselines"]["majority"]["accuracy"] = 0.4321
        results["cost"] |= {"train_seconds": 3725.0, "artifact_bytes": 12_345_678}
        results["proof"]["reloaded_difference"] = 3e-7
        results["training"] |= {"stopped_early": True}

    change(copy, "results.json", update)
    page = written(copy)
    assert "0.876 95% interval 0.812 to 0.923 majority 0.432" in page.text
    assert "1 h 2 min" in page.text
    assert "12.3 MB" in page.text
    assert "differ by at most 3e-07" in page.text
    assert "Training stopped early." in page.text


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "8.0 s/example · 2.0 tokens/s"), ("zh", "每条 8.0 秒 · 2.0 词元/秒")],
)
def test_a_slow_run_is_told_in_seconds_each(language: str, shown: str, copy: Run) -> None:
    results = copy.results
    slow = {"examples_per_second": 0.125, "tokens_per_second": 2.0}
    copy.write("results.json", {**results, "cost": {**results["cost"], **slow}})
    assert shown in write_run_report(copy, language).read_text(encoding="utf-8")


def test_without_the_untrained_baseline_it_is_not_mentioned(copy: Run) -> None:
    change(copy, "results.json", lambda results: results["baselines"].pop("untrained"))
    text = written(copy).text
    assert "untrained 0." not in text
    assert "Orange mark: the majority class." in text


def test_the_confusion_matrix_is_a_table_with_headings(finished: Run, page: Page) -> None:
    labels = finished.read("data.json")["task"]["labels"]
    rows = [
        f"{label} {' '.join(map(str, counts))}"
        for label, counts in zip(labels, finished.results["test"]["confusion"], strict=True)
    ]
    assert " ".join([*labels, *rows]) in page.text
    scopes = [tag.get("scope") for tag in page.all("th")]
    assert scopes.count("row") == scopes.count("col") == len(labels)


def test_mistakes_come_worst_first(copy: Run) -> None:
    shares = (0.6, 0.99, 0.8)
    rows = [
        {
            "id": f"row {share}",
            "label": "negative",
            "prediction": "positive",
            "probabilities": {"negative": 1 - share, "positive": share},
            "text": f"a text of {share}",
        }
        for share in shares
    ]
    right = {**rows[0], "label": "positive", "text": "a text that is right"}
    copy.write_lines("predictions.jsonl", [*rows, right])
    text = written(copy).text
    found = re.findall(r"a text of ([\d.]+) negative positive (\d+)%", text)
    assert found == [("0.99", "99"), ("0.8", "80"), ("0.6", "60")]
    assert "a text that is right" not in text


def test_no_mistakes_are_good_news(copy: Run) -> None:
    rows = [{**row, "label": row["prediction"]} for row in copy.read_lines("predictions.jsonl")]
    copy.write_lines("predictions.jsonl", rows)
    assert "None on this test split." in written(copy).text


def test_data_choices_config_and_command_are_told(finished: Run, page: Page) -> None:
    facts = finished.read("data.json")
    for told in (
        *map(render_message, facts["notes"]),
        *finished.results["choices"],
        facts["fingerprint"],
    ):
        assert " ".join(told.split()) in page.text
    assert "96 training, 12 validation and 12 test examples" in page.text
    assert f"welltuned train {finished.folder}/config.yaml output_dir=NEW_FOLDER" in page.text
    config = (finished.folder / "config.yaml").read_text(encoding="utf-8")
    assert " ".join(config.split()) in page.text
    environment = finished.read("environment.json")
    assert f"torch {environment['packages']['torch']}" in page.text


# --- Charts --------------------------------------------------------------------


def test_charts_have_alternatives_in_words(finished: Run, page: Page) -> None:
    charts = page.all("svg")
    assert [chart["role"] for chart in charts] == ["img"] * 3
    assert [chart["aria-label"] for chart in charts] == [
        "Training loss and validation macro_f1 over steps",
        "Reliability: share of right predictions by confidence",
        "Risk by coverage",
    ]
    bars = [tag for tag in page.all("div") if tag.get("class") == "bar"]
    score = finished.results["test"]["accuracy"]
    assert bars[0]["role"] == "img"
    assert str(bars[0]["aria-label"]).startswith(f"accuracy {score:.3f}, 95% interval ")


def test_charts_scale_and_follow_the_pages_colours(page: Page) -> None:
    for chart in page.all("svg"):
        assert "width" not in chart and "height" not in chart
        assert chart["viewbox"]
    drawn = json.dumps(page.tags)
    assert "var(--first)" in drawn
    assert not re.search(r"#0[1-6]0[1-6]0[1-6]", drawn), "a stand-in colour was left"
    assert "training loss" in page.text, "text in charts stays text"


# --- Other people's words ------------------------------------------------------


def test_texts_of_users_are_shown_and_not_obeyed(copy: Run) -> None:
    [row, *_] = copy.read_lines("predictions.jsonl")
    said = "<i>positive</i>"
    row |= {"text": NASTY, "label": "<u>no</u>", "prediction": said}
    copy.write_lines("predictions.jsonl", [{**row, "probabilities": {said: 0.9}}])
    change(copy, "data.json", lambda facts: facts["notes"].append("a <note> of <img src=x>"))
    environment = {"command": "welltuned train '</pre><script>'"}
    change(copy, "environment.json", lambda values: values.update(environment))
    page = written(copy)
    assert not {"script", "b", "i", "u", "note", "img"} & {tag for tag, _ in page.tags}
    for told in (NASTY, said, "<u>no</u>", "a <note> of <img src=x>", environment["command"]):
        assert " ".join(told.split()) in page.text


def test_labels_of_users_are_shown_and_not_obeyed(tiny: Any, tmp_path: Path) -> None:
    """In the tables, in attributes and in what is kept of a run."""
    names = {"positive": '"><svg onload=x>', "negative": "[/b]$x_1$"}
    rows = [{"text": row["text"], "label": names[row["label"]]} for row in make_rows(40)]
    data = write_rows(tmp_path / "nasty.jsonl", rows)
    training = {"max_steps": 1, "num_train_epochs": "auto"}
    task = {"pooling": "mean"}
    run = tune(tiny("bert"), data, HEAD, tmp_path / "run", training=training, task=task)
    page = Page(run.report.read_text(encoding="utf-8"))
    assert all("onload" not in attributes for _, attributes in page.tags)
    assert len(page.all("svg")) == 3
    for name in names.values():
        assert name in page.text


# --- Other problems ------------------------------------------------------------


def reworked(copy: Run, family: str, scores: dict[str, Any], rows: list[dict[str, Any]]) -> Page:
    """The page of a run of another kind, put together from its files."""

    def rework(results: dict[str, Any]) -> None:
        first = next(iter(scores))
        intervals = {f"{name}_ci95": [value - 0.1, value + 0.1] for name, value in scores.items()}
        results["test"] = {**scores, **intervals}
        results["validation"] = scores
        results["baselines"] = {"majority": dict.fromkeys(scores, 0.25)}
        results["metric"] = first

    change(copy, "results.json", rework)
    change(copy, "data.json", lambda facts: facts["task"].update(predictions=family))
    if family == "number":
        change(copy, "data.json", lambda facts: facts["task"].pop("counts"))
    copy.write_lines("predictions.jsonl", rows)
    return written(copy)


def test_numbers_have_a_scatter_and_no_confusion(copy: Run) -> None:
    rows = [
        {"id": str(i), "label": 1.5 * i, "prediction": 1.5 * i + (-1) ** i * i, "text": f"text {i}"}
        for i in range(5)
    ]
    page = reworked(copy, "number", {"r2": 0.5, "mae": 2.5}, rows)
    assert "Predicted against true numbers" in [svg["aria-label"] for svg in page.all("svg")]
    assert "Rows: the truth" not in page.text
    assert "R² 0.500" in page.text and "mean absolute error 2.500" in page.text
    assert re.findall(r"text (\d) [\d.]+ [\d.]+", page.text) == ["4", "3", "2", "1", "0"]
    bars = [tag for tag in page.all("div") if tag.get("class") == "bar"]
    assert len(bars) == 1, "an error has no bar: it is no share"


def test_several_labels_are_listed(copy: Run) -> None:
    rows = [
        {"id": "1", "label": ["a", "b"], "prediction": [], "probabilities": {}, "text": "worst"},
        {"id": "2", "label": ["a"], "prediction": ["a"], "probabilities": {}, "text": "right"},
        {"id": "3", "label": ["a"], "prediction": ["a", "b"], "probabilities": {}, "text": "bad"},
    ]
    page = reworked(copy, "multi_label", {"micro_f1": 0.5, "macro_f1": 0.4}, rows)
    assert "worst a, b" in page.text
    assert page.text.index("worst a, b") < page.text.index("bad a a, b")
    assert "right a a" not in page.text
    assert "micro-F1 0.500" in page.text


def test_pairs_show_both_texts(copy: Run) -> None:
    [row, *_] = copy.read_lines("predictions.jsonl")
    other = next(name for name in row["probabilities"] if name != row["prediction"])
    row |= {"text": "the first text", "text_pair": "the second text", "label": other}
    copy.write_lines("predictions.jsonl", [row])
    assert "the first text the second text" in written(copy).text


# --- In a browser --------------------------------------------------------------


def test_preferences_are_told_as_pairs(rewarded: Run, tmp_path: Path) -> None:
    copied = Run(Path(shutil.copytree(rewarded.folder, tmp_path / "run")))
    rows = list(copied.read_lines("predictions.jsonl"))
    wrong = {
        **rows[0], "prediction": "rejected", "prompt": NASTY,
        "probabilities": {"chosen": 0.1, "rejected": 0.9},
    }  # fmt: skip
    copied.write_lines("predictions.jsonl", [wrong, *rows[1:]])
    page = written(copied)
    test, longer = copied.results["test"], copied.results["baselines"]["longer"]
    assert f"pair accuracy {test['pair_accuracy']:.3f}" in page.text
    assert f"longer {longer['pair_accuracy']:.3f}" in page.text
    assert f"a rank correlation of {test['length_correlation']:.3f}" in page.text
    assert NASTY in page.text and wrong["chosen"] in page.text
    assert "always the right one" not in page.text and "Worst mistakes" not in page.text
    assert any("Reliability" in str(tag.get("aria-label")) for tag in page.all("svg"))


def test_without_a_wrong_pair_that_is_said(rewarded: Run) -> None:
    assert rewarded.results["test"]["pair_accuracy"] == 1
    page = Page(rewarded.report.read_text(encoding="utf-8"))
    assert "No pair is ordered wrongly." in page.text
    assert "(longer); one reward for all (majority); the model before tuning" in page.text


def test_pairs_are_told_of_validation_where_the_test_split_stays_sealed(
    rewarded: Run, tmp_path: Path
) -> None:
    copied = Run(Path(shutil.copytree(rewarded.folder, tmp_path / "run")))
    results = copied.read("results.json")
    del results["test"]
    (copied.folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    assert (
        f"Over {results['validation']['pairs']} pairs the better response" in written(copied).text
    )


def test_direct_preference_shows_pairs_and_answers(directed: Run) -> None:
    page = Page(directed.report.read_text(encoding="utf-8"))
    answered = next(row for row in directed.read_lines("predictions.jsonl") if "before" in row)
    assert "before and after tuning" in page.text and answered["prompt"] in page.text
    assert "one reward for all" not in page.text and "(likelier)" in page.text
    assert "the better response has" in page.text


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`browse(file, flags…)`: what headless Chromium prints when it opens a file."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    profile = tmp_path_factory.mktemp("browser")

    def run(file: Path, *flags: str) -> str:
        common = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync "
            f"--hide-scrollbars --user-data-dir={profile}"
        )
        process = subprocess.run(
            [program, *common.split(), *flags, file.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return process.stdout

    return run


@pytest.mark.browser
def test_a_browser_shows_the_scores(finished: Run, browse: Callable[..., str]) -> None:
    page = Page(browse(finished.report, "--dump-dom"))
    low, high = finished.results["test"]["accuracy_ci95"]
    score = finished.results["test"]["accuracy"]
    assert f"{score:.3f} 95% interval {low:.3f} to {high:.3f}" in page.text


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1000])
def test_a_browser_draws_the_page_at_any_width(
    width: int, finished: Run, browse: Callable[..., str], tmp_path: Path
) -> None:
    picture = tmp_path / "page.png"
    browse(finished.report, f"--window-size={width},3600", f"--screenshot={picture}")
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    size = (int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    assert size == (width, 3600)
    assert len(data) > 20_000, "an empty page is small"


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1000])
def test_the_page_does_not_scroll_sideways(
    width: int, finished: Run, browse: Callable[..., str], tmp_path: Path
) -> None:
    """Wide tables scroll by themselves. A frame is as narrow as a phone; a window is not."""
    tell = "parent.postMessage(`${innerWidth} ${document.documentElement.scrollWidth}`, '*')"
    html = finished.report.read_text(encoding="utf-8")
    html = html.replace("</body>", f"<script>{tell}</script></body>")
    (tmp_path / "inner.html").write_text(html, encoding="utf-8")
    frame = f'<iframe src="inner.html" width="{width}" height="900" frameborder="0"></iframe>'
    listen = "addEventListener('message', event => { document.title = event.data })"
    outer = tmp_path / "outer.html"
    outer.write_text(f"<title></title><script>{listen}</script>{frame}", encoding="utf-8")
    dom = browse(outer, "--dump-dom", "--virtual-time-budget=5000")
    title = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert title is not None
    assert [int(number) for number in title.groups()] == [width, width]
