"""A loss far above those before it is a spike; noise, and a level that rises, are none."""

from __future__ import annotations

import random

from welltuned.training.diagnosis.spikes import Spikes


def begun(losses: list[float]) -> list[int]:
    spikes = Spikes()
    return [i for i, loss in enumerate(losses) if spikes.begins_at(loss)]


def noisy(number: int, level: float = 0.5, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [level * draw.lognormvariate(0, 0.3) for _ in range(number)]


def test_a_jump_is_one_spike_however_long_it_lasts() -> None:
    assert begun([*noisy(40), 9.0, 8.0, *noisy(10), 9.0]) == [40, 52]


def test_noise_is_none() -> None:
    assert all(begun(noisy(500, seed=seed)) == [] for seed in range(20))


def test_one_hard_example_among_losses_near_zero_is_none() -> None:
    fallen = [0.7] * 10 + [0.001 * (1 + i % 3) for i in range(50)]
    assert begun([*fallen, 0.6]) == [] and begun([*fallen, 6.0]) == [60]


def test_nothing_is_said_before_there_is_a_level() -> None:
    assert begun([0.5] * 10 + [50.0]) == []


def test_a_level_that_has_risen_is_the_level() -> None:
    assert begun([*noisy(60), *[9.0] * 200]) == [60]


def test_it_goes_on_where_another_one_was() -> None:
    losses = [*noisy(40), 9.0, 8.0]
    first = Spikes()
    for loss in losses[:41]:
        first.begins_at(loss)
    assert not Spikes(first.start, first.recent, first.within).begins_at(losses[41])
