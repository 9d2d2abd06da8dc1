"""The published table re-read: its tests are right, and its pages are what its figures give."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import peft_benchmark
from published import differences, page, records, reruns, standing

PUBLISHED = records.read()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pages_are_what_the_figures_give(language: str) -> None:
    template = page.TEMPLATES[language].read_text(encoding="utf-8")
    text = page.PAGES[language].read_text(encoding="utf-8")
    made = page.filled(template, PUBLISHED, language)
    assert made == text, "run `python benchmarks/peft_benchmark.py write`"


def test_a_name_that_is_not_known_is_noticed() -> None:
    with pytest.raises(KeyError, match="magic"):
        page.filled("Of [[magic]].", PUBLISHED, "en")


def test_the_command_prints_the_page_and_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    peft_benchmark.main([])
    assert capsys.readouterr().out == page.PAGES["en"].read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        peft_benchmark.main(["wipe"])


# --- The records --------------------------------------------------------------------


def test_every_record_has_its_address_but_those_that_were_noted_rounded() -> None:
    for record in PUBLISHED.records:
        address = PUBLISHED.address(record)
        assert (address is None) == record.rounded
        if address:
            assert re.search(r"/peft/blob/[0-9a-f]{40}/method_comparison/.*3B[^/]*\.json$", address)


@pytest.mark.parametrize(
    ("changed", "said"), [({"accuracy": 0.5}, "no share"), ({"rerun": "1999-01"}, "rerun 1999-01")]
)
def test_what_cannot_be_is_refused(changed: dict[str, object], said: str, tmp_path: Path) -> None:
    held = json.loads(records.FILE.read_text(encoding="utf-8"))
    held["records"][0] |= changed
    file = tmp_path / "held.json"
    file.write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        records.read(file)


# --- Two accuracies -----------------------------------------------------------------


def test_known_intervals_and_p_values() -> None:
    assert differences.wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert differences.two_proportions(60, 40, 100) == pytest.approx(0.00468, abs=1e-5)
    assert differences.two_proportions(40, 60, 100) == differences.two_proportions(60, 40, 100)
    assert differences.mcnemar(10, 2) == pytest.approx(158 / 4096)
    assert differences.mcnemar(3, 3) == differences.two_proportions(7, 7, 7) == 1


@pytest.mark.parametrize(("one", "other", "questions"), [(9, 4, 12), (5, 5, 9), (3, 1, 20)])
def test_no_answers_are_beyond_the_bounds(one: int, other: int, questions: int) -> None:
    shares = range(max(0, one + other - questions), min(one, other) + 1)
    possible = [differences.mcnemar(one - shared, other - shared) for shared in shares]
    bounds = differences.paired_bounds(one, other, questions)
    assert (bounds.best, bounds.worst) == (min(possible), max(possible))


def test_two_may_disagree_as_much_as_is_said_and_no_more() -> None:
    most = differences.most_disagreements(677, 622, 0.05)
    assert most is not None and most > 55
    for disagreements, is_real in ((0.95 * most, True), (1.1 * most, False)):
        only_other = round((disagreements - 55) / 2)
        assert (differences.mcnemar(only_other + 55, only_other) < 0.05) == is_real
    assert differences.most_disagreements(10, 7, 0.05) is None
    assert differences.most_disagreements(10, 10, 0.05) is None


def test_as_many_questions_and_runs_as_needed_have_the_power_that_was_asked() -> None:
    random, margin = np.random.default_rng(0), 0.01
    questions = differences.questions_needed(0.27, margin, 9)
    runs = differences.runs_needed(0.01, margin, 9)
    for error in (math.sqrt(0.27 / questions), 0.01 * math.sqrt(2 / runs)):
        not_ruled_out = random.normal(0, error, 20_000) + differences.not_ruled_out(0, error, 9)
        assert np.mean(not_ruled_out < margin) == pytest.approx(0.8, abs=0.02)
    assert differences.questions_needed(0.27, margin) < questions
    assert differences.runs_needed(0.02, margin, 9) > runs


def test_the_front_has_whom_nobody_beats_in_both() -> None:
    points = [(0.9, 5.0), (0.8, 1.0), (0.7, 2.0), (0.9, 5.0), (0.9, 6.0), (0.6, 0.5)]
    assert differences.front(points) == [True, True, False, True, False, True]


# --- Reruns -------------------------------------------------------------------------


def planted(methods: int, method_sd: float, run_sd: float) -> dict[str, list[float]]:
    random = np.random.default_rng(1)
    levels = random.normal(50, method_sd, methods)
    return {
        str(number): [level + random.normal(0, run_sd), level + random.normal(0, run_sd)]
        for number, level in enumerate(levels)
    }


def test_the_noise_of_a_run_and_the_methods_own_variance_are_found() -> None:
    layout = reruns.lay_out(planted(400, method_sd=2, run_sd=1))
    assert layout.run_sd == pytest.approx(1, rel=0.1)
    assert layout.reliability == pytest.approx(0.8, abs=0.05)
    assert layout.p < 1e-6 and layout.rank_correlation() > 0.6
    assert layout.freedom == 399 and layout.means[0] == max(layout.means)


def test_what_all_methods_have_in_common_is_no_noise() -> None:
    scores = planted(10, method_sd=1, run_sd=1)
    moved = {name: [first, last - 7] for name, (first, last) in scores.items()}
    before, after = reruns.lay_out(scores), reruns.lay_out(moved)
    assert after.run_variance == pytest.approx(before.run_variance)
    assert after.p == pytest.approx(before.p)


def test_equal_methods_are_not_told_apart() -> None:
    layout = reruns.lay_out(planted(40, method_sd=0, run_sd=1))
    assert layout.p > 0.05 and layout.reliability < 0.4
    assert layout.p_of_difference(1.0, runs=1) > layout.p_of_difference(1.0, runs=2) > 0.05
    assert layout.p_of_difference(9.0, runs=1) < 1e-6


def test_an_exact_repetition_has_no_noise() -> None:
    layout = reruns.lay_out({"a": [1.0, 1.0], "b": [2.0, 2.0]})
    assert layout.run_sd == 0 and layout.p == 0 and layout.reliability == 1


# --- The table ----------------------------------------------------------------------


def row(name: str, correct: int) -> records.Record:
    return records.Record(name, f"lora/{name}", standing.LAST, correct / 1000, 1000)


def test_the_rows_are_corrected_for_their_number() -> None:
    layout = reruns.lay_out(planted(10, method_sd=1, run_sd=1))
    few = standing.beside_the_best([row("a", 550), row("b", 500)], layout)
    many = standing.beside_the_best(
        [row("a", 550), row("b", 500), *(row(f"c{number}", 400) for number in range(8))], layout
    )
    assert [one.may_be_best for one in few] == [True, False]
    assert [one.may_be_best for one in many] == [True, True, *[False] * 8]
    assert many[1].p == pytest.approx(9 * few[1].p)
    for one in many[1:]:
        assert one.paired.best <= one.p <= one.paired.worst


def test_a_truly_best_row_is_left_out_of_the_group_in_less_than_one_table_in_twenty() -> None:
    random = np.random.default_rng(0)
    left_out = 0
    for counts in random.binomial(1319, 0.48, (400, 25)):
        p = differences.two_proportions(int(counts.max()), int(counts[0]), 1319)
        left_out += 24 * p < differences.ALPHA
    assert left_out / 400 < 0.05


def test_pairs_are_corrected_by_holm() -> None:
    rows = [row("a", 600), row("b", 520), row("c", 500)]

    def p_of(one: records.Record, other: records.Record) -> float:
        return {"ab": 0.02, "ac": 0.001, "bc": 0.04}[one.name + other.name]

    assert standing.pairs_told_apart(rows, p_of) == 3
    assert standing.pairs_told_apart(rows, lambda one, other: 0.02) == 0


def test_only_what_is_known_of_two_rows_is_on_a_front() -> None:
    rows = PUBLISHED.of(standing.LAST, standing.LATER)
    fastest = min((one for one in rows if one.seconds), key=lambda one: one.seconds or 0)
    on = page.on_front(rows, "seconds")
    assert fastest.name in on and rows[0].name in on and "LoRA r=64" not in on
