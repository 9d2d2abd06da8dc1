"""A classifier as a policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from acting import classifier_actor, policy_of, texts_of
from support import short_tune
from tabular import ppo
from welltuned.rlhf.actors.classifier import ClassifierActor, TextPrompts
from welltuned.rlhf.algorithms.exact import Exact
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.learner import Learner, step
from welltuned.runs import Run

ALL = torch.arange(12)


def actor_of(run: Run, file: str, temperature: float = 1.0) -> tuple[ClassifierActor, TextPrompts]:
    """The actor, and twelve texts."""
    policy = policy_of(run)
    return classifier_actor(policy, temperature), texts_of(policy, file)


def test_responses_are_the_names_of_labels_and_prompts_the_texts(
    classified: Callable[..., Run], sentiment: str
) -> None:
    actor, texts = actor_of(classified("full"), sentiment)
    rollout = actor.rollout(texts.take([3, 1, 4]), torch.Generator())
    assert rollout.prompts == [texts.examples.records["text"][i] for i in (3, 1, 4)]
    names = actor.problem.labels
    assert rollout.responses == [names[a] for a in rollout.actions_BT[:, 0].tolist()]
    assert rollout.mask_BT.shape == (3, 1) and bool(rollout.mask_BT.all())
    assert "labels" not in rollout.inputs  # the truth is nothing that a policy may see


def test_a_batch_of_unequal_texts_is_judged_as_each_alone(
    classified: Callable[..., Run], sentiment: str
) -> None:
    """Sorting, trimming and padding change nothing, in the order that was asked for."""
    actor, texts = actor_of(classified("partial"), sentiment)
    rollout = actor.rollout(texts, torch.Generator())
    lengths = rollout.inputs["attention_mask"].sum(1)
    assert len(set(lengths.tolist())) > 3
    assert rollout.all_logprobs_BK is not None and rollout.all_references_BK is not None
    for row in ALL.tolist():
        alone = actor.rollout(texts.take([row]), torch.Generator())
        assert alone.all_logprobs_BK is not None
        torch.testing.assert_close(
            alone.all_logprobs_BK[0], rollout.all_logprobs_BK[row], rtol=0, atol=1e-5
        )
        assert rollout.states is not None and alone.states is not None
        length = int(lengths[row])
        torch.testing.assert_close(
            rollout.states[row, :length], alone.states[0, :length], rtol=0, atol=1e-4
        )


def test_o2_the_temperature_is_in_sampling_judging_and_reference(
    classified: Callable[..., Run], sentiment: str
) -> None:
    run = classified("full")
    pairs = [actor_of(run, sentiment, temperature) for temperature in (1.0, 2.0)]
    plain, warm = (actor.rollout(texts, torch.Generator()) for actor, texts in pairs)
    for name in ("all_logprobs_BK", "all_references_BK"):
        expected = (getattr(plain, name) / 2).log_softmax(-1)
        torch.testing.assert_close(getattr(warm, name), expected, rtol=0, atol=1e-6)
    judged = pairs[1][0].judge(warm, ALL).logprobs_BT
    torch.testing.assert_close(judged.detach(), warm.logprobs_BT, rtol=0, atol=1e-6)


def test_actions_are_drawn_from_the_policy(classified: Callable[..., Run], sentiment: str) -> None:
    actor, texts = actor_of(classified("full"), sentiment, 4.0)
    rollout = actor.rollout(texts.take([0, 1] * 400), torch.Generator().manual_seed(0))
    shares = rollout.all_logprobs_BK[:2].exp()  # type: ignore[index]
    found = rollout.actions_BT.view(400, 2).float().mean(0)
    error = (shares[:, 1] * (1 - shares[:, 1]) / 400).sqrt()
    assert bool(((found - shares[:, 1]).abs() < 4 * error).all())


def test_o3_dropout_of_every_kind_is_off(
    tiny: Callable[..., str], sentiment: str, tmp_path: Any
) -> None:
    """Modules and float attributes alike (attention has its own)."""
    dropout = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}
    folder = tiny("bert", **dropout)
    run = short_tune(folder, sentiment, {"type": "full"}, tmp_path / "run")
    actor, texts = actor_of(run, sentiment)
    assert any(m.p == 0.5 for m in actor.model.modules() if isinstance(m, torch.nn.Dropout))
    learner = Learner.of(actor, ppo(learning_rate=1e-3, batch_size=12), 3)
    for _ in range(2):  # also after learning, which others do in training mode
        rollout = learner.rollout(texts)
        step(learner, rollout, np.zeros(12))
        judged = [actor.judge(rollout, ALL).logprobs_BT.detach() for _ in range(2)]
        assert torch.equal(*judged)


@pytest.mark.parametrize("algorithm", [Ppo, Exact])
def test_a_reward_for_one_label_is_learned_and_its_opposite_unlearned(
    algorithm: type[Ppo | Exact], classified: Callable[..., Run], sentiment: str
) -> None:
    shares = {}
    for wanted in ("positive", "negative"):
        actor, _ = actor_of(classified("lora"), sentiment)
        texts = texts_of(actor.policy, sentiment, 32)
        config = algorithm(learning_rate=1e-2, batch_size=32, kl_coef=0.01)
        learner = Learner.of(actor, config, 3)
        for _ in range(3):
            rollout = learner.rollout(texts)
            if config.scores_every_action:
                names = actor.problem.labels
                scores = np.array([[float(name == wanted) for name in names]] * 32)
            else:
                scores = np.array([float(said == wanted) for said in rollout.responses])
            step(learner, rollout, scores)
        share_BK = learner.rollout(texts).all_logprobs_BK.exp()  # type: ignore[union-attr]
        shares[wanted] = float(share_BK[:, actor.problem.labels.index("positive")].mean())
    assert shares["positive"] > 0.8 and shares["negative"] < 0.2


def test_a_pair_of_texts_is_one_prompt_of_two_lines(
    tiny: Callable[..., str], tmp_path: Any
) -> None:
    from support import make_rows, write_rows

    file = write_rows(tmp_path / "pairs.jsonl", make_rows(60, pair=True))
    run = short_tune(tiny("bert"), file, {"type": "partial", "num_blocks": 0}, tmp_path / "run")
    actor, texts = actor_of(run, file)
    rollout = actor.rollout(texts.take([2]), torch.Generator())
    records = texts.examples.records
    assert rollout.prompts == [f"{records['text'][2]}\n{records['text_pair'][2]}"]
    assert "token_type_ids" in rollout.inputs
