"""Text drawn from a policy, and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from acting import generator_actor, policy_of, story_prompts
from faults import fails, refused
from tabular import ppo
from welltuned.rlhf.actors.generator import GeneratorActor
from welltuned.rlhf.actors.sampling import _drawn
from welltuned.rlhf.learner import Learner, step
from welltuned.rlhf.policy import Policy
from welltuned.rlhf.prompts import Prompts
from welltuned.runs import Run

ROWS = torch.arange(10)
LIKE_LLAMA = ("mistral", "qwen3")


def roll(actor: GeneratorActor, prompts: Prompts, number: int = 10, seed: int = 0) -> Any:
    return actor.rollout(prompts.take(range(number)), torch.Generator().manual_seed(seed))


def of_many_lengths(policy: Policy, stories: str) -> Prompts:
    """Prompts from 1 to 25 tokens: some are longer than the sliding windows (16) of families."""
    whole = story_prompts(policy, stories, 40)
    parts = [whole.ids[i] * 3 for i in range(10)]
    ids = [part[: 1 + (7 * i) % 25] for i, part in enumerate(parts)]
    return Prompts(ids, [str(i) for i in range(10)])


@pytest.mark.parametrize(
    "family",
    ["gpt2", "llama", "gemma2", *(pytest.param(f, marks=pytest.mark.slow) for f in LIKE_LLAMA)],
)
@pytest.mark.parametrize("strategy", ["partial", "prompt", "prefix"])
def test_o1_what_the_cache_gave_is_what_each_row_alone_gives(
    family: str, strategy: str, told: Callable[..., Run], stories: str
) -> None:
    """Positions, padding on both sides, windows, prompts in the cache: 1e-5 in float32."""
    policy = policy_of(told(strategy, family))
    prompts = of_many_lengths(policy, stories)
    actor = generator_actor(policy)
    rollout = roll(actor, prompts)
    for row in (0, 3, 7):
        start = int(rollout.inputs["attention_mask"][row].argmax())
        said = int(rollout.mask_BT[row].sum())
        stop = rollout.inputs["input_ids"].shape[1] - rollout.mask_BT.shape[1] + said
        ids = rollout.inputs["input_ids"][row : row + 1, start:stop]
        with torch.no_grad():
            logits = policy.model(input_ids=ids, use_cache=False).logits[0] / actor.temperature
        logprobs = logits.log_softmax(-1)[-said - 1 : -1].gather(1, ids[0, -said:].unsqueeze(1))
        torch.testing.assert_close(
            rollout.logprobs_BT[row, :said], logprobs[:, 0], rtol=0, atol=1e-5
        )
    judged = actor.judge(rollout, ROWS)
    torch.testing.assert_close(judged.logprobs_BT.detach(), rollout.logprobs_BT, rtol=0, atol=1e-5)


def test_tokens_and_values_stand_where_they_were_said(
    told: Callable[..., Run], stories: str
) -> None:
    """Any selection and order of rows, cut to its own width, is judged as the whole batch is."""
    policy = policy_of(told("full"))
    prompts = of_many_lengths(policy, stories)
    actor = generator_actor(policy)
    head: Any = actor.value
    torch.nn.init.normal_(head.linear.weight)
    rollout = roll(actor, prompts)
    assert rollout.values_BT[rollout.mask_BT].std() > 0
    for rows in (torch.tensor([4]), torch.tensor([7, 2, 9])):
        judged = actor.judge(rollout, rows, entropy=True)
        for found, noted in (
            (judged.logprobs_BT, rollout.logprobs_BT),
            (judged.values_BT, rollout.values_BT),
            (judged.entropies_BT, rollout.entropies_BT),
        ):
            assert found is not None
            torch.testing.assert_close(found.detach(), noted[rows], rtol=1e-4, atol=1e-4)


def test_o2_tokens_are_drawn_from_the_tempered_distribution_and_nothing_else(
    told: Callable[..., Run], stories: str
) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    prompts = prompts.take([0] * 4000)
    actor = generator_actor(policy, temperature=0.1, length=1)
    actor.rows_at_once = 4000
    rollout = roll(actor, prompts, 4000)
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([prompts.ids[0]])).logits[0, -1] / 0.1
    shares = logits.softmax(-1)
    counts = torch.bincount(rollout.actions_BT[:, 0], minlength=len(shares)).double()
    chi_square = float(((counts - 4000 * shares) ** 2 / (4000 * shares)).sum())
    assert chi_square < 2 * len(shares)  # 44 on average; a top-k would make it infinite
    wrong = (logits * 0.1).softmax(-1)
    assert float(((counts - 4000 * wrong) ** 2 / (4000 * wrong)).sum()) > 2 * len(shares)


def test_at_a_temperature_near_zero_it_is_the_greedy_answer_of_transformers(
    told: Callable[..., Run], stories: str
) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy, temperature=1e-4)
    rollout = roll(actor, prompts, 6)
    ids = policy.tokenizer.pad(
        {"input_ids": prompts.ids[:6]}, padding_side="left", return_tensors="pt"
    )
    theirs = policy.model.generate(
        **ids, max_new_tokens=12, do_sample=False, pad_token_id=actor.pad_id, eos_token_id=5
    )[:, ids["input_ids"].shape[1] :]
    width = min(theirs.shape[1], rollout.actions_BT.shape[1])
    assert torch.equal(theirs[:, :width], rollout.actions_BT[:, :width])


def test_s4_a_response_ends_with_its_end_token_which_counts(
    told: Callable[..., Run], stories: str
) -> None:
    """Also where padding is the end token, as here."""
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy, temperature=3.0, length=20)
    rollout = roll(actor, prompts, 40)
    assert actor.pad_id == policy.tokenizer.eos_token_id == 5
    ended = rollout.ended_B.nonzero()[:, 0].tolist()
    assert 3 < len(ended) < 40
    for row in range(40):
        length = int(rollout.mask_BT[row].sum())
        said = rollout.actions_BT[row, :length].tolist()
        assert 5 not in said[:-1]
        assert (said[-1] == 5) == (row in ended)
        assert length == 20 or row in ended
    for name in ("logprobs_BT", "references_BT", "values_BT", "entropies_BT"):
        assert not getattr(rollout, name)[~rollout.mask_BT].any()


def test_a_response_of_nothing_but_its_end_is_an_empty_text(
    told: Callable[..., Run], stories: str
) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy, length=6)
    head = policy.model.get_output_embeddings()
    head.weight.data = head.weight.data.clone()
    with torch.no_grad():
        head.weight[5] = (
            100
            * policy.model(
                input_ids=torch.tensor([prompts.ids[0]]), output_hidden_states=True
            ).hidden_states[-1][0, -1]
        )
    rollout = actor.rollout(prompts.take([0, 0]), torch.Generator())
    assert rollout.responses == ["", ""]
    assert rollout.mask_BT.tolist() == [[True], [True]] and bool(rollout.ended_B.all())


def test_the_same_generator_says_the_same_and_another_something_else(
    told: Callable[..., Run], stories: str
) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy)
    said = [roll(actor, prompts, 8, seed).responses for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_responses_go_on_where_the_prompt_ends(told: Callable[..., Run], stories: str) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy)
    rollout = roll(actor, prompts)
    for row in range(10):
        ids = rollout.inputs["input_ids"][row][rollout.inputs["attention_mask"][row].bool()]
        whole = policy.tokenizer.decode(ids, skip_special_tokens=True)
        assert rollout.prompts[row] + rollout.responses[row] == whole
    first_words = Counter(response.split(" ")[0] for response in rollout.responses)
    assert first_words[""] > 5  # each begins with the space that parts it from the prompt


def test_o1_rollouts_that_judging_does_not_confirm_stop_the_run(
    told: Callable[..., Run], stories: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy)
    real = actor.judge

    def forgetful(rollout: Any, rows: Any, entropy: bool = False) -> Any:
        judged = real(rollout, rows, entropy)
        return replace(judged, logprobs_BT=judged.logprobs_BT * 1.1)

    monkeypatch.setattr(actor, "judge", forgetful)
    with fails("rlhf.sampling_differs"):
        roll(actor, prompts)


def test_in_half_precision_judging_has_the_last_word(
    told: Callable[..., Run], stories: str
) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories).take(range(10))
    policy.manifest = replace(policy.manifest, precision="bf16")
    actor = generator_actor(policy)
    learner = Learner.of(actor, ppo(learning_rate=1e-3, batch_size=10), 1)
    rollout = learner.rollout(prompts)
    assert actor.agrees is False
    assert step(learner, rollout, np.zeros(10)).ratio == pytest.approx(1, abs=0.2)


# --- Prompts ----------------------------------------------------------------------


def test_a_text_gives_its_beginning_and_a_prompt_all_of_it(
    told: Callable[..., Run], stories: str
) -> None:
    from welltuned.rlhf.prompts import prompts_of

    policy = policy_of(told("full"))
    texts = story_prompts(policy, stories, 2)
    assert all(len(ids) <= 2 for ids in texts.ids)
    problem: Any = policy.problem
    records = problem.codec.records_of(["the film was good and the room was cold"])
    prompts = prompts_of(problem.prompter, policy.tokenizer, records, 50, 2)
    assert prompts.texts == ["the film was good and the room was cold"]
    assert len(prompts.ids[0]) == 9
    short = prompts_of(problem.prompter, policy.tokenizer, records, 4, 2)
    assert short.cut == 1 and short.ids == [prompts.ids[0][-4:]]


def test_a_prompt_without_a_token_is_refused(told: Callable[..., Run]) -> None:
    from welltuned.rlhf.prompts import prompts_of

    policy = policy_of(told("full"))
    problem: Any = policy.problem
    with refused("rlhf.prompt_empty", place="texts:2"):
        prompts_of(
            problem.prompter, policy.tokenizer, problem.codec.records_of(["good", " "]), 50, 2
        )


def test_a_conversation_is_asked_through_its_template_and_judged_without_it(
    causal: Callable[..., str], instructions: str, tmp_path: Any
) -> None:
    from support import short_tune

    task = {"type": "generation", "decoding": {"max_new_tokens": 4}, "scored_examples": 1}
    run = short_tune(causal("llama"), instructions, {"type": "full"}, tmp_path / "run", task=task)
    policy = policy_of(run)
    prompts = story_prompts(policy, instructions)
    assert prompts.texts[0].startswith("was it good\n")
    decoded = policy.tokenizer.decode(prompts.ids[0])
    assert len(prompts.ids[0]) > len(policy.tokenizer(prompts.texts[0])["input_ids"])
    assert decoded != prompts.texts[0]
    actor = generator_actor(policy)
    rollout = roll(actor, prompts, 6)
    assert actor.agrees and len(rollout.responses) == 6


def test_what_a_row_says_depends_on_no_other_row(told: Callable[..., Run], stories: str) -> None:
    """Neither on how many are answered at once, nor on which of them have ended."""
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy, temperature=2.0, length=20)
    together = roll(actor, prompts)
    actor.rows_at_once = 3
    apart = roll(actor, prompts)
    lengths = together.mask_BT.sum(dim=1)
    assert lengths.min() < lengths.max() and bool(together.ended_B.any())
    assert torch.equal(together.actions_BT, apart.actions_BT)
    assert torch.equal(together.mask_BT, apart.mask_BT)
    torch.testing.assert_close(together.values_BT, apart.values_BT, rtol=0, atol=1e-5)


def test_rows_leave_the_batch_when_they_have_ended(told: Callable[..., Run], stories: str) -> None:
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    actor = generator_actor(policy, temperature=2.0, length=20)
    rows: list[int] = []
    trunk = policy.model.get_submodule(policy.anatomy.trunk)
    hook = trunk.register_forward_pre_hook(
        lambda module, given, named: rows.append(len(named["input_ids"])), with_kwargs=True
    )
    said, _ = actor._say(prompts.take(range(8)), torch.Generator().manual_seed(0))
    hook.remove()
    assert rows == said.mask_BT.sum(dim=0).tolist() and min(rows) < 8


def test_numbers_choose_tokens_by_their_shares() -> None:
    shares = torch.tensor([[0.25, 0.0, 0.5, 0.25]]).expand(6, 4)
    draws = torch.tensor([[0.0], [0.2499], [0.25], [0.7499], [0.75], [1.0]], dtype=torch.float64)
    assert _drawn(shares, draws)[:, 0].tolist() == [0, 0, 2, 2, 3, 3]


def test_states_noted_in_sampling_are_those_of_a_whole_pass(
    told: Callable[..., Run], stories: str
) -> None:
    """Wherever a token stands that anything is predicted from."""
    policy = policy_of(told("partial"))
    actor = generator_actor(policy, temperature=2.0, length=20)
    rollout = roll(actor, of_many_lengths(policy, stories))
    assert rollout.states is not None
    with torch.no_grad(), actor.noted() as noted:
        actor.judge(replace(rollout, states=None), ROWS)
    mask = rollout.inputs["attention_mask"]
    last = mask * (mask.flip(1).cumsum(1).flip(1) == 1)
    read = (mask - last).bool()[:, :-1]
    assert int(read.sum()) > 100
    states = rollout.states[:, :-1]
    torch.testing.assert_close(states[read], noted[0][read], rtol=1e-4, atol=1e-5)
