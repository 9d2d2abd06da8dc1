"""Saves are as frequent as asked, and by default as they cost little."""

from __future__ import annotations

from welltuned.engines.config import TrainingConfig
from welltuned.engines.save_schedule import SaveSchedule


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def scheduled(**training: object) -> tuple[SaveSchedule, Clock]:
    clock = Clock()
    return SaveSchedule(TrainingConfig.model_validate(training), clock), clock


def saved(schedule: SaveSchedule, clock: Clock, seconds: float) -> None:
    with schedule.saving():
        clock.now += seconds


def test_by_steps_no_clock_counts() -> None:
    schedule, clock = scheduled(save_steps=3)
    clock.now += 10_000
    assert [step for step in range(1, 10) if schedule.is_due(step)] == [3, 6, 9]


def test_by_minutes_from_save_to_save() -> None:
    schedule, clock = scheduled(save_minutes=2)
    clock.now += 119
    assert not schedule.is_due(1)
    clock.now += 1
    assert schedule.is_due(2)
    saved(schedule, clock, 30)
    clock.now += 119
    assert not schedule.is_due(3)


def test_by_default_a_slow_save_is_a_rare_one() -> None:
    schedule, clock = scheduled()
    clock.now += 60
    assert schedule.is_due(1)
    saved(schedule, clock, 10)
    clock.now += 399
    assert not schedule.is_due(2), "10 seconds in 409 are 2.4%"
    clock.now += 1
    assert schedule.is_due(3)


def test_by_default_a_quick_save_is_made_once_a_minute() -> None:
    schedule, clock = scheduled()
    saved(schedule, clock, 0.1)
    clock.now += 59
    assert not schedule.is_due(1)
    clock.now += 1
    assert schedule.is_due(2)
