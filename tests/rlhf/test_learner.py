"""Learning from batches: on a table, where the answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from faults import fails, refused
from tabular import REFERENCES, REWARDS, Tabular, distance, learn, ppo
from welltuned.rlhf.actors.base import DivergedError, Rollout, TokenEstimates
from welltuned.rlhf.learner import Learner, penalised, require_reference, step


def test_a_reward_turned_around_leads_the_other_way() -> None:
    """The negative control: the optimum is not reached because the test is easily pleased."""
    learner, stats = learn(60, 300, -REWARDS, learning_rate=0.05)
    assert distance(learner) > 0.1
    assert stats[-1].reward > stats[0].reward


def test_without_enough_batches_the_optimum_is_not_reached() -> None:
    assert distance(learn(8, 300, learning_rate=0.05)[0]) > 1e-2


@pytest.mark.parametrize("size", [1, 3, 5, 16])
def test_into_how_many_forward_passes_a_minibatch_is_cut_changes_no_step(size: int) -> None:
    values: dict[str, Any] = {"learning_rate": 0.05, "entropy_coef": 0.1}
    whole, stats = learn(3, 16, **values)
    cut, cut_stats = learn(3, 16, **values, per_device_train_batch_size=size)
    for one, other in zip(whole.groups, cut.groups, strict=True):
        for parameter, again in zip(one.parameters, other.parameters, strict=True):
            torch.testing.assert_close(parameter, again, rtol=0, atol=1e-6)
    assert stats[-1].policy_loss == pytest.approx(cut_stats[-1].policy_loss, abs=1e-6)


def test_minibatches_are_steps_and_cover_the_batch_once_an_epoch() -> None:
    learner, stats = learn(1, 16, num_ppo_epochs=3, num_mini_batches=4)
    assert stats[0].optimizer_steps == 12
    learner.batches = 5
    rollout = learner.rollout([0] * 16)
    parts = learner.minibatches(rollout, 1)
    assert sorted(torch.cat(parts).tolist()) == list(range(16))
    assert [len(part) for part in parts] == [4] * 4
    assert torch.cat(parts).tolist() != torch.cat(learner.minibatches(rollout, 2)).tolist()


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    same = [learn(3, 16, seed=seed)[1][-1].as_dict() for seed in (4, 4, 5)]
    for stats in same:
        stats.pop("seconds")
    assert same[0] == same[1] != same[2]


def test_every_batch_draws_anew() -> None:
    learner, _ = learn(1, 60, learning_rate=1e-9)
    drawn = []
    for batch in (1, 2, 1):
        learner.batches = batch
        drawn.append(learner.rollout([0, 1, 2] * 20).responses)
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_target_kl_ends_the_passes_of_a_batch_and_takes_no_step_beyond_it() -> None:
    _, free = learn(1, 60, learning_rate=0.3, num_ppo_epochs=8)
    _, held = learn(1, 60, learning_rate=0.3, num_ppo_epochs=8, target_kl=0.05)
    assert free[0].optimizer_steps == 8 and not free[0].stopped_early
    assert 1 <= held[0].optimizer_steps < 8 and held[0].stopped_early


def test_the_adaptive_coefficient_is_steered_after_each_batch() -> None:
    learner, stats = learn(4, 60, kl_target=1e-3, kl_horizon=600, learning_rate=0.1)
    used = [batch.kl_coef for batch in stats]
    assert used[1] == pytest.approx(used[0] * (1 - 0.2 * 60 / 600))  # no divergence yet
    assert used[-1] == pytest.approx(used[-2] * (1 + 0.2 * 60 / 600))
    assert learner.kl.value > used[-1]


def test_the_learning_rate_falls_to_nothing_over_all_batches() -> None:
    rates = [batch.learning_rate for batch in learn(4, 12, learning_rate=0.1)[1]]
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025])
    constant = learn(4, 12, learning_rate=0.1, lr_scheduler_type="constant")[1]
    assert [batch.learning_rate for batch in constant] == pytest.approx([0.1] * 4)


def test_o11_gradients_are_clipped() -> None:
    learner, stats = learn(1, 60, num_ppo_epochs=1, max_grad_norm=1e-9, adam_epsilon=1.0)
    actor: Any = learner.actor
    moved = float((actor.model.table - REFERENCES).detach().abs().max())
    assert stats[0].gradient_norm > 1e-3 and moved < 1e-9


def test_an_entropy_bonus_keeps_the_policy_from_deciding() -> None:
    plain = learn(40, 120, kl_coef=0.0, learning_rate=0.1)[1][-1].entropy
    kept = learn(40, 120, kl_coef=0.0, learning_rate=0.1, entropy_coef=1.0)[1][-1].entropy
    assert kept > plain + 0.1


def test_o9_a_missing_end_is_subtracted_from_the_score_not_put_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor = Tabular(REFERENCES)
    rollout = actor.rollout([0, 1, 2], torch.Generator().manual_seed(0))
    ended = torch.tensor([True, False, True])
    rollout = replace(rollout, ended_B=ended)
    scores = torch.tensor([1.0, 2.0, 3.0])
    found = penalised(scores, rollout, ppo(missing_eos_penalty=1.5))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5, 3.0]))
    torch.testing.assert_close(penalised(scores, rollout, ppo()), scores)
    learner = Learner.of(actor, ppo(batch_size=3, missing_eos_penalty=1e6), 1)
    monkeypatch.setattr(
        type(learner.algorithm), "experience", lambda _, __, given, ___: learned.append(given)
    )
    learned: list[torch.Tensor] = []
    with pytest.raises(AttributeError):  # nothing can be learned from what this returns
        step(learner, rollout, scores.numpy())
    assert learned[0].tolist() == [1.0, 2.0 - 1e6, 3.0]


def test_o10_the_first_step_is_adams_with_its_bias_corrected() -> None:
    """TensorFlow's Adam, uncorrected in its eps, would need eps / sqrt(1 − β₂) here: 31.6 times."""
    actor, eps = Tabular(REFERENCES), 1e-3
    config = ppo(batch_size=12, num_ppo_epochs=1, adam_epsilon=eps, max_grad_norm=0)
    learner = Learner.of(actor, config, 10)
    rollout = learner.rollout([0, 1, 2] * 4)
    scores = np.linspace(-1, 1, 12)
    judged = actor.judge(rollout, torch.arange(12))
    experience = config.experience(rollout, torch.tensor(scores).float(), 0.05)
    loss = config.loss(experience, judged, torch.arange(12))["loss"] / 12
    (gradient,) = torch.autograd.grad(loss, actor.model.table)
    before = actor.model.table.detach().clone()
    step(learner, rollout, scores)
    moved = before - actor.model.table.detach()
    torch.testing.assert_close(moved, 0.1 * gradient / (gradient.abs() + eps), rtol=1e-4, atol=1e-6)
    uncorrected = 0.1 * gradient / (gradient.abs() + eps / (1 - 0.999) ** 0.5)
    assert not torch.allclose(moved, uncorrected, rtol=1e-2)


def test_o11_the_entropy_that_is_noted_is_that_of_real_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor = Tabular(REFERENCES)
    learner = Learner.of(actor, ppo(batch_size=6), 1)
    rollout = learner.rollout([0, 1, 2] * 2)

    def wide(tensor: torch.Tensor, filler: Any) -> torch.Tensor:
        """A second column, of padding."""
        return torch.cat([tensor, torch.full_like(tensor, filler)], dim=1)

    padded = replace(
        rollout,
        mask_BT=wide(rollout.mask_BT, False),
        entropies_BT=wide(rollout.entropies_BT, 100.0),
        actions_BT=wide(rollout.actions_BT, 0),
        logprobs_BT=wide(rollout.logprobs_BT, 0),
        references_BT=wide(rollout.references_BT, 0),
        values_BT=wide(rollout.values_BT, 0),
    )
    real = actor.judge
    monkeypatch.setattr(actor, "judge", lambda _, rows, entropy: _padded(real(rollout, rows)))
    assert step(learner, padded, [0.0] * 6).entropy == pytest.approx(
        float(rollout.entropies_BT.mean())
    )


def _padded(judged: TokenEstimates) -> TokenEstimates:
    nothing = torch.zeros_like(judged.logprobs_BT)
    columns = (torch.cat([x, nothing], dim=1) for x in (judged.logprobs_BT, judged.values_BT))
    return TokenEstimates(*columns)


# --- What is asserted in every run ------------------------------------------------


def test_o1_a_policy_that_judges_other_than_it_sampled_stops_the_run() -> None:
    """As dropout, a forgotten temperature, or other positions would make it."""

    class Forgetful(Tabular):
        def judge(
            self, rollout: Rollout, rows: torch.Tensor, entropy: bool = False
        ) -> TokenEstimates:
            judged = super().judge(rollout, rows, entropy)
            return TokenEstimates(judged.logprobs_BT / 0.7, judged.values_BT)

    learner = Learner.of(Forgetful(REFERENCES), ppo(batch_size=12), 1)
    rollout = learner.rollout([0, 1, 2] * 4)
    before = learner.actor.model.table.clone()
    with fails("rlhf.ratio_not_one"):
        step(learner, rollout, [0.0] * 12)
    assert torch.equal(learner.actor.model.table, before)


def test_o1_a_policy_that_is_not_its_reference_at_first_stops_the_run() -> None:
    actor = Tabular(REFERENCES)
    require_reference(actor, actor.rollout([0, 1, 2], torch.Generator()))
    with torch.no_grad():
        actor.model.table += torch.randn(3, 4)
    with fails("rlhf.reference_differs"):
        require_reference(actor, actor.rollout([0, 1, 2] * 5, torch.Generator()))


@pytest.mark.parametrize(
    ("scores", "code", "values"),
    [
        ([0.0] * 5, "rlhf.scores_bad_shape", {"shape": (5,), "wanted": (6,)}),
        ([[0.0]] * 6, "rlhf.scores_bad_shape", {"shape": (6, 1), "wanted": (6,)}),
        ([0.0, 1.0, float("nan"), 0.0, 0.0, 0.0], "rlhf.scores_not_finite", {}),
        ([0.0, 1.0, float("inf"), 0.0, 0.0, 0.0], "rlhf.scores_not_finite", {}),
    ],
)
def test_scores_that_cannot_be_are_refused(scores: Any, code: str, values: dict[str, Any]) -> None:
    learner = Learner.of(Tabular(REFERENCES), ppo(batch_size=6), 1)
    with fails(code, **values):
        step(learner, learner.rollout([0, 1, 2] * 2), scores)


def test_a_loss_that_is_not_finite_takes_no_step() -> None:
    learner = Learner.of(Tabular(REFERENCES), ppo(batch_size=6, vf_coef=1e38), 1)
    rollout = learner.rollout([0, 1, 2] * 2)
    before = [parameter.clone() for group in learner.groups for parameter in group.parameters]
    with refused("rlhf.loss_not_finite", error=DivergedError):
        step(learner, rollout, np.full(6, 1e18))
    after = [parameter for group in learner.groups for parameter in group.parameters]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_another_optimizer_takes_the_steps_and_climbs_as_well() -> None:
    learner, stats = learn(40, 60, optim="sgd", optim_args={"momentum": 0.5}, learning_rate=0.3)
    assert type(learner.optimizer) is torch.optim.SGD
    assert learner.optimizer.defaults["momentum"] == 0.5
    assert stats[-1].reward > stats[0].reward
