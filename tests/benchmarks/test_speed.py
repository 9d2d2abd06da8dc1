"""The bench: rounds in turns, rows that go on, and pages that are what was measured."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import bench
from speed import classifiers, page, place, rounds, rows, start, writers
from support import short_tune
from welltuned.errors import Faults
from welltuned.experiments.comparison.config import read_comparison
from welltuned.training.preparation.load_config import load_config

KEPT = bench.read(bench.RESULTS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pages_are_what_was_measured(language: str) -> None:
    for file, fill in (
        (page.PAGES[language], page.filled),
        (page.READMES[language], page.with_brief),
    ):
        text = file.read_text(encoding="utf-8")
        assert fill(text, KEPT, language) == text, "run `python benchmarks/bench.py write`"


def here(folder: Path, **more: Any) -> place.Place:
    return place.Place(folder, folder / "no data", 20, **more)


def test_the_files_are_those_of_the_set_or_the_embedded_reviews(tmp_path: Path) -> None:
    place.make_files(here(tmp_path))
    sizes = {name: len(place.read_lines(tmp_path / f"{name}.jsonl")) for name in place.SPLITS}
    assert sizes == {"train": 20, "validation": 20, "test": 20}
    texts = place.splits_of(tmp_path)
    assert not set(texts["train"]) & {*texts["validation"], *texts["test"]}
    source = tmp_path / "data" / place.REVIEWS
    source.mkdir(parents=True)
    for name in place.SPLITS:
        place.write_lines(source / f"{name}.jsonl", [json.dumps({"text": name, "label": 1})])
    place.make_files(replace(here(tmp_path), data=tmp_path / "data"))
    assert json.loads((tmp_path / "test.jsonl").read_text(encoding="utf-8"))["text"] == "test"


def test_a_line_ends_where_json_says_so(tmp_path: Path) -> None:
    rows = [json.dumps({"text": "one\u2028line"}, ensure_ascii=False), "{}"]
    place.write_lines(tmp_path / "a.jsonl", rows)
    assert place.read_lines(tmp_path / "a.jsonl") == rows


def test_mixed_texts_are_of_one_mind_and_of_many_lengths() -> None:
    given = [{"text": f"{label}{number}", "label": label} for number in range(12) for label in "ab"]
    made = place.mixed(given)
    assert len(made) == len(given)
    for row in made:
        assert {word[0] for word in row["text"].split()} == {row["label"]}
    assert len({len(row["text"].split()) for row in made}) > 4


def test_a_process_is_timed_and_one_that_fails_says_how(tmp_path: Path) -> None:
    one = here(tmp_path)
    code = "import os; print(os.environ['WELLTUNED_CACHE'])"
    taken = place.timed([sys.executable, "-c", code], one)
    assert taken.printed.strip() == str(one.cache)
    assert taken.seconds > 0 and taken.cpu_seconds > 0 and taken.bytes > 2**20
    with pytest.raises(place.Failed, match="no such thing"):
        place.timed([sys.executable, "-c", "raise SystemExit('no such thing')"], one)


def test_sides_take_turns_at_going_first(tmp_path: Path) -> None:
    order: list[str] = []

    def side(name: str) -> rounds.Side:
        order.append(name)
        return {}

    for seed in (0, 1):
        sides = {name: partial(side, name) for name in rounds.SIDES}
        rounds.in_turns(here(tmp_path, seed=seed), sides)
    assert order == ["ours", "theirs", "theirs", "ours"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that a row of ours was measured with."""
    seeds: list[int] = []

    def one(at: place.Place, kept: rounds.Kept) -> rounds.Round:
        seeds.append(at.seed)
        return {
            "seed": at.seed,
            "ours": {"seconds": 2.0, "cpu_seconds": 1.0, "bytes": 1e9, "score": 0.75},
            "theirs": {"seconds": 3.0 + at.seed, "cpu_seconds": 1.0, "bytes": 2e9, "score": 0.5},
        }

    monkeypatch.setitem(rows.ROWS, "full", rows.Row("full", "full", 1.8, one))
    return seeds


def asked(out: Path, **more: Any) -> Namespace:
    given = {"data": Path("no data"), "examples": 20, "rounds": 2, "rows": ["full"]}
    return Namespace(**{**given, "language_model": None, "sizes": [10], "out": out, **more})


def test_a_row_goes_on_where_it_was_stopped_and_begins_anew_with_other_code(
    measured: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "speed.json"
    bench.run(asked(out, rounds=1))
    bench.run(asked(out, rounds=3))
    assert measured == [0, 1, 2]
    bench.run(asked(out, rounds=1, examples=21))
    assert measured == [0, 1, 2, 0]
    monkeypatch.setattr(place, "code", lambda: "other")
    bench.run(asked(out, rounds=1, examples=21))
    assert measured == [0, 1, 2, 0, 0] and len(bench.read(out)["rows"]["full"]["rounds"]) == 1


def test_what_is_missing_is_said_and_a_row_that_fails_stops_no_other(
    measured: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(at: place.Place, kept: rounds.Kept) -> rounds.Round:
        raise place.Failed("python x.py\nout of luck")

    monkeypatch.setitem(rows.ROWS, "head", rows.Row("head", "head", 20.0, fails))
    out = tmp_path / "speed.json"
    with pytest.raises(SystemExit, match="failed: head"):
        bench.run(asked(out, rows=["comparison", "head", "full"]))
    told = capsys.readouterr().out
    assert "comparison: left out: the scripts' times" in told and "out of luck" in told
    assert set(bench.read(out)["rows"]) == {"full"}


def test_a_row_of_the_table_has_medians_and_the_range(measured: list[int], tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    bench.run(asked(out, rounds=3))
    kept = bench.read(out)
    said = page.cells("full", kept["rows"]["full"], "en")
    assert said["ratio"] == "**2.00**" and said["spread"] == "1.50 to 2.50"
    assert said["seconds"] == "2.0 / 4.0" and said["memory"] == "1.00 / 2.00"
    assert said["score"] == "0.750 / 0.500" and said["target"] == "1.8"
    assert "| `full` | full | **2.00** |" in page.rows_of(kept, "en")
    assert page.limit_of(kept, "en") == page.NOTHING["en"]


def test_limit_and_scaling_have_tables_of_their_own(tmp_path: Path) -> None:
    about = {"date": "2026-01-01", "cpu": "some CPU", "cores": 2, "versions": {"torch": "2"}}
    points = [
        {"examples": size, "strategy": "full", "seconds": size / 100, "bytes": 1e9}
        for size in (1000, 10_000)
    ]
    kept = {
        "rows": {},
        "limit": {**about, "steps": {"160": {"tokens": 4100.0, "shares": [0.7, 0.8, 0.9]}}},
        "scaling": {**about, "points": points},
    }
    assert "| 160 | 4,100 | **0.80** | 0.70 to 0.90 | 0.7 |" in page.limit_of(kept, "en")
    assert "| `full` | 10,000 | 100.0 | 10.00 | 1.00 GB |" in page.scaling_of(kept, "zh")
    assert page.scaling_of(kept, "en").endswith("some CPU, 2 × CPU; torch 2; 2026-01-01.")
    page.draw(points, tmp_path / "assets/scaling.svg")
    assert "examples" in (tmp_path / "assets/scaling.svg").read_text(encoding="utf-8")


def test_where_seconds_went_is_told_by_row(measured: list[int], tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    bench.run(asked(out, rounds=1))
    kept = bench.read(out)
    assert page.phases_of(kept, "en") == page.NOTHING["en"]
    spent = {
        "import": 1.0,
        "train": 60.0,
        "test": 2.0,
        "baseline": 3.0,
        "report": 0.5,
        "other": 9.0,
    }
    one = kept["rows"]["full"]["rounds"][0]
    one["ours"] |= {"phases": spent, "efficiency": 0.75, "seconds": 80.0}
    one["theirs"]["seconds"] = 120.0
    expected = "| `full` | 60.0 | 0.75 | 0.0 | 5.0 | 0.0 | 1.0 | 0.5 | 1.50 |"
    assert expected in page.phases_of(kept, "en") and expected in page.phases_of(kept, "zh")
    one["ours"]["phases"] = {**spent, "validate": 15.0, "retention": 4.0, "probe": 1.0}
    assert page.phases_of(kept, "en").endswith("| 2.00 |")


def test_a_start_is_timed_until_its_process_ends_or_has_left_a_line(tmp_path: Path) -> None:
    one, file = here(tmp_path), tmp_path / "metrics.jsonl"
    writes = f"import time; open({str(file)!r}, 'w').write('1'); time.sleep(60)"
    for code, ends in (("raise SystemExit(2)", {"status": 2}), (writes, {"line_in": file})):
        taken = start._until([sys.executable, "-c", code], one, **ends)
        assert 0 < taken["cpu_seconds"] <= 60 and 0 < taken["seconds"] < 60
    with pytest.raises(place.Failed, match="no such thing"):
        start._until([sys.executable, "-c", "raise SystemExit('no such thing')"], one, status=2)


def test_the_model_of_starts_is_in_no_folder_of_another_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bench is run as a whole, row after row in one place, and no run is overwritten."""
    made: list[str] = []

    def note(command: place.Command, at: place.Place) -> place.Taken:
        words = [str(word) for word in command]
        made.extend(word for word in words if word.startswith("output_dir="))
        if "train" not in words:
            raise place.Failed("enough")
        return place.Taken(1.0, 1.0, 1, "")

    monkeypatch.setattr(start, "timed", note)
    monkeypatch.setattr(classifiers, "timed", note)
    monkeypatch.setattr(classifiers, "with_peers", lambda at: None)
    start.tune(here(tmp_path))
    with pytest.raises(place.Failed, match="enough"):
        classifiers.answered(here(tmp_path), {})
    folders = [word for word in made if word.startswith(f"output_dir={tmp_path}")]
    assert folders[0] not in folders[1:] and folders[-1] != folders[0]


def test_the_first_round_of_starts_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(9, 0, -1))
    known = start.STARTS["help"]
    one = replace(known, measure=lambda at: {"seconds": next(times), "cpu_seconds": 0.125})
    monkeypatch.setattr(start, "STARTS", {"help": one})
    monkeypatch.setattr(start, "tune", lambda at: None)
    found = start.measure_starts(here(tmp_path), rounds=3)
    assert [taken["seconds"] for taken in found["help"]] == [8, 7, 6]
    kept = {"start": {"date": "", "cpu": "", "cores": 2, "versions": {}, "rounds": found}}
    said = "| `welltuned --help` | **7.00** | 6.00 to 8.00 | 0.12 | 0.15 |"
    assert said in page.start_of(kept, "en") and said in page.start_of(kept, "zh")


def test_the_pipeline_is_given_the_model_as_plain_libraries_read_it(
    tiny: Any, few: str, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = short_tune(tiny("bert"), few, "full", tmp_path / "run", task={"pooling": "model"})
    ends = list[tuple[int, str, str]]()
    monkeypatch.setattr(classifiers, "timed", lambda words, at: ends.append(call(*words[3:])))
    classifiers.export_plain(run.folder, tmp_path / "plain", here(tmp_path))
    assert [status for status, _, _ in ends] == [0], ends
    assert (tmp_path / "plain" / "config.json").exists()


class CommandSeen(Exception):
    """Instead of a process that would take minutes."""


def seen(command: list[str], at: place.Place) -> None:
    raise CommandSeen(*command[3:])


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> place.Place:
    """A place that has all that rows ask for, where no process is started."""
    for module in (classifiers, rounds):
        monkeypatch.setattr(module, "timed", seen)
    monkeypatch.setattr(classifiers, "PEER_PYTHON", Path(sys.executable))
    for module in (classifiers, writers):
        monkeypatch.setattr(module, "peers", lambda: {"setfit": "1", "trl": "1"})
    for source in ("instruct_en_alpaca", "pref_en_alpacaeval"):
        (tmp_path / "data" / source).mkdir(parents=True)
        for split in place.SPLITS:
            place.write_lines(tmp_path / "data" / source / f"{split}.jsonl", ["{}"])
    return replace(here(tmp_path, language_model=tmp_path / "model"), data=tmp_path / "data")


@pytest.mark.parametrize("name", [name for name in rows.ROWS if not name.startswith("ppo")])
def test_every_row_asks_for_what_a_command_takes(name: str, ready: place.Place) -> None:
    measured: dict[str, Any] = {key: {"rounds": []} for key in classifiers.COMPARED}
    with pytest.raises(CommandSeen) as command:
        rows.ROWS[name].measure(ready, measured)
    verb, *words = command.value.args
    if verb == "compare":
        faults = Faults()
        config, _ = read_comparison(None, words, faults)
        assert config is not None and not len(faults)
        assert len(config.strategies) == len(classifiers.COMPARED)
    else:
        assert verb == "train"
        assert load_config(None, words).model.name
