"""The journal of a sweep: who takes what, and what happens when somebody dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trials import Ask
from welltuned.experiments.search.journal import Journal, Trial
from welltuned.experiments.search.plan import SweepPlan, plan_sweep
from welltuned.experiments.search.space import Value
from welltuned.runs import Run
from welltuned.runs.resumable_folder import enter

GRID = {
    "space": {"training.learning_rate": [1e-3, 1e-2], "strategy.r": [2, 4, 8]},
    "sampler": "grid",
}


@pytest.fixture
def plan(ask: Ask) -> SweepPlan:
    plan = plan_sweep(ask("lora", sweep={"trials": 6}))
    enter(plan.folder, plan.identity)
    return plan


def take(journal: Journal) -> Trial:
    trial = journal.take()
    assert trial is not None
    return trial


def states(journal: Journal) -> list[str]:
    return [row.state for row in journal.rows()]


def dies(trial: Trial) -> None:
    """What the system does when a process is killed: its locks are free."""
    trial.claim.release()


# --- Taking ------------------------------------------------------------------


def test_the_first_trial_is_what_is_usual(plan: SweepPlan) -> None:
    journal = Journal(plan, at_once=9)
    first, second = take(journal), take(journal)
    assert first.values == plan.usual
    assert second.values != plan.usual
    assert [row.usual for row in journal.rows()] == [True, False]


def test_as_many_trials_as_were_asked_for_and_more_when_more_are(plan: SweepPlan) -> None:
    journal = Journal(plan)
    for _ in range(6):
        journal.finish(take(journal), 0.5)
    assert journal.take() is None
    more = plan.settings.model_copy(update={"trials": 7})
    again = Journal(SweepPlan(**{**plan.__dict__, "settings": more}))
    assert take(again).number == 6
    assert again.take() is None


def test_two_processes_share_the_trials_and_draw_different_ones(plan: SweepPlan) -> None:
    """Two journals are two processes: neither has anything of the other but the file."""
    one, other = Journal(plan, at_once=9), Journal(plan, at_once=9)
    taken = [take(journal) for journal in (one, other, one, other, one, other)]
    assert one.take() is None and other.take() is None
    assert [trial.number for trial in taken] == list(range(6))
    assert len({trial.values["training.learning_rate"] for trial in taken}) == 6


def test_a_trial_waits_for_what_it_is_to_know_of_and_for_nobody_else_s(plan: SweepPlan) -> None:
    journal = Journal(plan, at_once=2)
    first, second = take(journal), take(journal)
    assert journal.take() is None
    journal.finish(second, 0.5)
    assert journal.take() is None, "number 2 is to know of number 0"
    assert take(Journal(plan)).number == 2, "another process has none of its own under way"
    journal.finish(first, 0.25)
    third = take(journal)
    assert third.number == 3
    assert [trial.state.name for trial in third.past] == ["COMPLETE", "COMPLETE", "RUNNING"]


def test_what_is_drawn_is_a_pure_function_of_seed_and_past(ask: Ask, plan: SweepPlan) -> None:
    def drawn(folder: Path, seed: int) -> list[dict[str, Value]]:
        settings = plan.settings.model_copy(update={"seed": seed})
        folder.mkdir()
        journal = Journal(SweepPlan(**{**plan.__dict__, "folder": folder, "settings": settings}))
        values = []
        for _ in range(6):
            trial = take(journal)
            values.append(trial.values)
            rate = trial.values["training.learning_rate"]
            assert isinstance(rate, float)
            journal.finish(trial, rate)
        return values

    first = drawn(plan.folder / "a", 0)
    assert first == drawn(plan.folder / "b", 0)
    assert first != drawn(plan.folder / "c", 1)


def test_a_grid_is_every_combination_once_and_then_ends(ask: Ask) -> None:
    plan = plan_sweep(ask("lora", sweep={**GRID, "trials": 20}))
    enter(plan.folder, plan.identity)
    journal = Journal(plan)
    seen = []
    while (trial := Journal(plan).take()) is not None:
        seen.append((trial.values["training.learning_rate"], trial.values["strategy.r"]))
        journal.finish(trial, 0.5)
    assert seen == [(rate, r) for rate in (1e-3, 1e-2) for r in (2, 4, 8)]


def test_a_grid_that_was_cut_short_while_it_was_written_is_completed(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_sweep(ask("lora", sweep={**GRID, "trials": 20}))
    enter(plan.folder, plan.identity)
    enqueue, done = Journal._enqueue, []

    def dies_at_the_fourth(self: Journal, *rest: Any, **more: Any) -> None:
        done.append(rest)
        if len(done) == 4:
            raise KeyboardInterrupt
        enqueue(self, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_enqueue", dies_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            Journal(plan)
    assert len(Journal(plan).rows()) == 6
    take(Journal(plan))
    rows = Journal(plan).rows()
    assert len({str(row.values) for row in rows}) == len(rows) == 6


def test_of_a_grid_no_more_is_tried_than_was_asked_for(ask: Ask) -> None:
    plan = plan_sweep(ask("lora", sweep={**GRID, "trials": 2}))
    enter(plan.folder, plan.identity)
    journal = Journal(plan, at_once=9)
    assert take(journal) and take(journal) and journal.take() is None


# --- Ends --------------------------------------------------------------------


def test_each_end_is_told_and_stays_told(plan: SweepPlan) -> None:
    journal = Journal(plan)
    journal.finish(take(journal), 0.75)
    journal.prune(take(journal), "it was behind")
    journal.fail(take(journal), "the loss is not finite")
    take(journal)
    rows = Journal(plan).rows()
    assert [row.state for row in rows] == ["finished", "pruned", "failed", "running"]
    assert [row.value for row in rows] == [0.75, None, None, None]
    assert [row.reason for row in rows[1:3]] == ["it was behind", "the loss is not finite"]
    assert all(row.seconds is not None for row in rows[:3]) and rows[3].seconds is None


def test_evaluations_are_kept_in_order(plan: SweepPlan) -> None:
    journal = Journal(plan)
    trial = take(journal)
    for look, value in ((1, 0.3), (2, 0.6), (3, 0.5)):
        trial.optuna.report(value, look)
    journal.finish(trial, 0.6)
    assert Journal(plan).rows()[0].curve == [0.3, 0.6, 0.5]


# --- Death -------------------------------------------------------------------


def test_a_trial_whose_process_died_is_begun_again_with_the_same_values(plan: SweepPlan) -> None:
    """It does not count as one of those asked for, and its folder no longer says it is running."""
    journal = Journal(plan, at_once=9)
    killed = take(journal)
    Run.create(killed.folder).set_status("running", 7)
    dies(killed)
    again = take(Journal(plan))
    assert (again.number, again.values) == (1, killed.values)
    assert states(journal) == ["repeated", "running"]
    status = Run(killed.folder).status
    assert status == {"state": "failed", "step": 7, "error": "its process ended without a word"}
    others = [take(journal) for _ in range(5)]
    assert journal.take() is None and len(others) == 5


def test_a_trial_under_way_is_left_to_its_process(plan: SweepPlan) -> None:
    busy = take(Journal(plan))
    Run.create(busy.folder).set_status("running", 3)
    assert take(Journal(plan)).number == 1
    assert Run(busy.folder).state == "running"
    assert states(Journal(plan)) == ["running", "running"]


def test_a_run_that_finished_before_its_process_died_is_not_lost(plan: SweepPlan) -> None:
    """Killed between the end of the run and the line in the journal."""
    journal = Journal(plan)
    trial = take(journal)
    run = Run.create(trial.folder)
    run.write("results.json", {"validation": {"macro_f1": 0.625}})
    run.set_status("finished", 9)
    dies(trial)
    assert take(Journal(plan)).number == 1
    row = journal.rows()[0]
    assert (row.state, row.value) == ("finished", 0.625)


def test_a_trial_that_kills_every_process_is_given_up(plan: SweepPlan) -> None:
    journal = Journal(plan, at_once=9)
    values = []
    for _ in range(3):
        trial = take(journal)
        values.append(trial.values)
        dies(trial)
    assert values == [plan.usual] * 3
    assert take(journal).values != plan.usual
    assert states(journal) == ["repeated", "repeated", "failed", "running"]
    assert journal.rows()[2].reason == "its process died 3 times"


def test_being_stopped_by_a_person_is_no_such_death(plan: SweepPlan) -> None:
    journal = Journal(plan)
    for _ in range(4):
        journal.give_back(take(journal))
    assert take(journal).values == plan.usual
    assert states(journal) == ["repeated"] * 4 + ["running"]


def test_a_line_cut_short_by_a_crash_costs_that_line_alone(plan: SweepPlan) -> None:
    journal = Journal(plan)
    journal.finish(take(journal), 0.5)
    file = plan.folder / "journal.log"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"op_code": 5, "worker_id": "x')
    after = Journal(plan)
    after.finish(take(after), 0.75)
    assert [row.value for row in Journal(plan).rows()] == [0.5, 0.75]
    assert file.read_bytes().startswith(whole)
    assert all(line.endswith(b"}") for line in file.read_bytes().splitlines())
