"""Direct preference optimisation: losses by hand, and whole runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faults import full, refused
from support import STRATEGIES, job_for, make_preferences, short_tune, tune, write_rows
from welltuned.artifact.predictor import Predictor
from welltuned.data.tokens.encoding import IGNORED
from welltuned.errors import InputError
from welltuned.evaluation.predict import predict_outputs, to_device
from welltuned.runs import Run
from welltuned.tasks import GenerationProblem
from welltuned.tasks.preference import Preference, PreferenceProblem
from welltuned.training.session import session

FULL = {"type": "full"}
LORA = {"type": "lora", "r": 4}
TRIED = [name for name in STRATEGIES if name != "head"]


def job_of(model: str, data: str, strategy: dict[str, Any] = FULL, **task: Any) -> Any:
    return job_for(model, data, strategy, task={"type": "preference", **task})


def batch_of(job: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    return to_device(job.problem.codec.collate(job.examples, indices, job.pad_id), job.device)


def logprobs(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum, number) of the log-probabilities of labelled tokens, row by row, from full logits."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        scores = model(**inputs).logits.float().log_softmax(-1)[:, :-1]
    labels = batch["labels"][:, 1:]
    known = labels != IGNORED
    found = scores.gather(2, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (found * known).sum(1), known.sum(1)


def stirred(job: Any) -> Any:
    """The job with a model that is no longer the one it started from."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in job.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    job.model.eval()
    return job


# --- The loss --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", TRIED)
def test_the_reference_is_the_model_before_it_was_prepared(
    strategy: str, causal: Any, preferences: str
) -> None:
    """Whatever the strategy puts into it; and nothing of that is changed by looking."""
    from transformers import AutoModelForCausalLM

    job = job_of(causal("llama"), preferences, STRATEGIES[strategy])
    trains = [name for name, value in job.model.named_parameters() if value.requires_grad]
    fresh = job_for(causal("llama"), preferences, STRATEGIES[strategy], task="preference").model
    assert trains == [name for name, value in fresh.named_parameters() if value.requires_grad]
    untouched = AutoModelForCausalLM.from_pretrained(causal("llama")).eval()
    batch = batch_of(job, [0, 1, 2])
    torch.testing.assert_close(batch["reference"], logprobs(untouched, batch)[0])


def test_the_reference_of_a_lora_that_changes_the_base_is_the_base(
    causal: Any, preferences: str
) -> None:
    """(L8) PiSSA moves a part of W into B·A: switched off, the model is another one."""
    from transformers import AutoModelForCausalLM

    job = job_of(causal("llama"), preferences, {**LORA, "init_lora_weights": "pissa"})
    untouched = AutoModelForCausalLM.from_pretrained(causal("llama")).eval()
    batch = batch_of(job, [0, 1])
    wanted = logprobs(untouched, batch)[0]
    torch.testing.assert_close(batch["reference"], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strategy", ["full", "lora", "houlsby"])
def test_before_the_first_step_the_loss_is_ln_2(
    strategy: str, causal: Any, preferences: str
) -> None:
    """(R1) The policy is its own reference; the gradient is that of minus half the gap."""
    job = job_of(causal("llama"), preferences, STRATEGIES[strategy], beta=0.2)
    batch = batch_of(job, [0, 1, 2, 3])
    loss = job.problem.objective.loss(job.model, batch) / job.problem.objective.count(batch)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-5)
    loss.backward()
    grads = {n: p.grad.clone() for n, p in job.model.named_parameters() if p.grad is not None}
    job.model.zero_grad()
    rewards = 0.2 * job.problem.objective.logprobs(job.model, batch)
    better, worse = rewards[batch["pairs"]].unbind(1)
    (-0.5 * batch["weights"] * (better - worse)).sum().div(batch["weights"].sum()).backward()
    for name, parameter in job.model.named_parameters():
        if name in grads:
            torch.testing.assert_close(grads[name], parameter.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    "task",
    [{}, {"beta": 0.5, "label_smoothing": 0.2}, {"loss": "ipo", "beta": 0.3}],
    ids=["dpo", "cdpo", "ipo"],
)
def test_losses_are_those_of_the_papers(
    task: dict[str, Any], causal: Any, preferences: str
) -> None:
    job = stirred(job_of(causal("llama"), preferences, **task))
    batch = batch_of(job, [0, 1, 2])
    sums, tokens = logprobs(job.model, batch)
    beta, doubt = task.get("beta", 0.1), task.get("label_smoothing", 0)
    ipo = task.get("loss") == "ipo"
    ratios = (sums / tokens if ipo else sums) - batch["reference"]
    gaps = (ratios[batch["pairs"][:, 0]] - ratios[batch["pairs"][:, 1]]).double().numpy()
    if ipo:
        wanted = (gaps - 1 / (2 * beta)) ** 2
    else:
        right, wrong = (np.log1p(np.exp(-beta * sign * gaps)) for sign in (1, -1))
        wanted = (1 - doubt) * right + doubt * wrong
    assert np.abs(gaps).min() > 1e-3
    loss = job.problem.objective.loss(job.model, batch).item()
    assert loss == pytest.approx(wanted.sum(), rel=1e-4)
    assert job.problem.objective.count(batch) == len(gaps)


def test_margins_are_what_a_reward_has_to_be_ahead_by(causal: Any, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = make_preferences(30)
    plain = write_rows(tmp_path / "a.jsonl", rows)
    ahead = write_rows(tmp_path / "b.jsonl", [{**row, "margin": 1.5} for row in rows])
    jobs = [job_of(causal("llama"), data) for data in (plain, ahead)]
    losses = [job.problem.objective.loss(job.model, batch_of(job, [1])).item() for job in jobs]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[1] == pytest.approx(math.log(1 + math.exp(1.5)), abs=1e-5)


def test_without_a_reference_nothing_can_be_learned_by_mistake(
    causal: Any, preferences: str
) -> None:
    from dataclasses import replace

    job = job_of(causal("llama"), preferences)
    targets = job.examples.targets.copy()
    targets[:] = [replace(target, reference_K=None) for target in targets]
    job.examples = replace(job.examples, targets=targets)
    assert torch.isnan(job.problem.objective.loss(job.model, batch_of(job, [0, 1])))


@pytest.mark.parametrize("loss", ["simpo", "orpo"])
def test_where_no_reference_is_needed_none_is_asked_for_nor_held(
    loss: str, causal: Any, preferences: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*args: object) -> None:
        raise AssertionError("the untuned model was asked")

    monkeypatch.setattr(session.LoadedModel, "base_subject", ask)
    job = job_of(causal("llama"), preferences, loss=loss)
    batch = batch_of(job, [0, 1, 2])
    assert "reference" not in batch
    assert all(target.reference_K is None for target in job.examples.targets)
    sums, tokens = logprobs(job.model, batch)
    better, worse = (sums / tokens)[batch["pairs"]].unbind(1)
    losses = job.problem.config.pair_loss.losses(better, worse, batch["margins"])
    found = job.problem.objective.loss(job.model, batch).item()
    assert found == pytest.approx((batch["weights"] * losses).sum().item(), rel=1e-4)
    targets = job.examples.targets
    outputs = predict_outputs(job.model, job.problem, job.examples, job.pad_id, 7)
    assert set(job.problem.scorer.baselines(targets, targets)) == {"longer"}
    scores = job.problem.scorer.score(outputs, targets)
    assert 0 <= scores["pair_accuracy"] <= 1 and scores["chosen_reward"] < 0


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "simpo", "orpo"])
def test_preferred_answers_overtake_the_others(loss: str, causal: Any, preferences: str) -> None:
    job = job_of(causal("llama"), preferences, loss=loss)
    batch = batch_of(job, list(range(8)))

    def ahead() -> torch.Tensor:
        sums, tokens = logprobs(job.model, batch)
        better, worse = (sums / tokens)[batch["pairs"]].unbind(1)
        return better - worse

    assert (ahead() < 0).any()
    optimizer = torch.optim.Adam(job.model.parameters(), lr=1e-2)
    for _ in range(6):
        optimizer.zero_grad()
        job.problem.objective.loss(job.model, batch).backward()
        optimizer.step()
    assert (ahead() > 0).all()


def test_scores_are_those_of_implicit_rewards(causal: Any, preferences: str) -> None:
    job = stirred(job_of(causal("llama"), preferences, beta=0.4))
    outputs = predict_outputs(job.model, job.problem, job.examples, job.pad_id, 7)
    scores = job.problem.scorer.score(outputs, job.examples.targets)
    batch = batch_of(job, list(range(len(job.examples))))
    rewards = 0.4 * (logprobs(job.model, batch)[0] - batch["reference"])
    better, worse = rewards[batch["pairs"]].T
    assert scores["pair_accuracy"] == pytest.approx((better > worse).float().mean().item())
    assert scores["margin"] == pytest.approx((better - worse).mean().item(), abs=1e-4)
    assert scores["chosen_reward"] == pytest.approx(better.mean().item(), abs=1e-4)
    assert scores["rejected_reward"] == pytest.approx(worse.mean().item(), abs=1e-4)


# --- Runs ------------------------------------------------------------------------


def test_a_run_learns_what_is_preferred(directed: Run) -> None:
    results = directed.results
    assert results["test"]["pair_accuracy"] == 1 and results["test"]["margin"] > 0.1
    assert results["test"]["chosen_reward"] > results["test"]["rejected_reward"]
    assert set(results["baselines"]) == {"longer", "likelier", "untrained"}
    assert results["baselines"]["untrained"]["pair_accuracy"] == 0.5
    assert results["baselines"]["untrained"]["margin"] == 0
    assert 0 <= results["baselines"]["likelier"]["pair_accuracy"] <= 1
    assert results["proof"]["reloaded_difference"] < 1e-4


def test_what_results_is_an_ordinary_generator(directed: Run, instructions: str) -> None:
    predictor = Predictor.load(directed)
    assert isinstance(predictor.problem, GenerationProblem)
    assert predictor.problem.style == "plain" and predictor.tokenizer.chat_template is None
    said = predictor.predict(["was it so good"])[0]["prediction"]
    heard: list[str] = []
    assert predictor.say("was it so good", heard.append) == said == "".join(heard).strip()
    assert len(said.split()) <= 4
    with refused("predict.not_a_reward_model", task="generation"):
        predictor.rewards(["a"], ["b"])


def test_rows_hold_rewards_and_the_first_prompts_their_answers(directed: Run) -> None:
    rows = list(directed.read_lines("predictions.jsonl"))
    answered = [row for row in rows if "response" in row]
    assert len(rows) == directed.results["test"]["pairs"] and len(answered) == 3
    assert all({"before", "reference"} <= set(row) for row in answered)
    right = [row["prediction"] == "chosen" for row in rows]
    assert np.mean(right) == directed.results["test"]["pair_accuracy"]


def test_with_a_template_prompts_are_conversations(causal: Any, tmp_path: Path) -> None:
    """And the generator that results takes them as such."""
    rows = [
        {**row, "prompt": [{"role": "user", "content": row["prompt"]}]}
        for row in make_preferences(40)
    ]
    data = write_rows(tmp_path / "talk.jsonl", rows)
    task = {"type": "preference", "scored_examples": 1, "decoding": {"max_new_tokens": 3}}
    run = short_tune(causal("llama"), data, LORA, tmp_path / "run", task=task)
    predictor = Predictor.load(run)
    assert isinstance(predictor.problem, GenerationProblem) and predictor.problem.style == "chat"
    assert predictor.tokenizer.chat_template is not None
    assert isinstance(predictor.predict(["was it so good"])[0]["prediction"], str)


# --- What is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"loss": "ipo", "label_smoothing": 0.1}, "task.smoothing_without_sigmoid"),
        ({"label_smoothing": 0.5}, "config.value_invalid key=task.label_smoothing given=0.5"),
        ({"beta": 0}, "config.value_invalid key=task.beta given=0"),
        ({"loss": "orpo", "simpo_gamma": 1}, "task.gamma_without_simpo"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    task: dict[str, Any], told: str, causal: Any, preferences: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        tune(causal("llama"), preferences, LORA, tmp_path, task={"type": "preference", **task})
    assert told in "\n".join(full(error.value.faults))


def refusal_of(model: str, data: str, tmp_path: Path, **parts: Any) -> str:
    with pytest.raises(InputError) as error:
        tune(model, data, LORA, tmp_path / "run", **{"task": "preference", **parts})
    assert not (tmp_path / "run").exists()
    return "\n".join(full(error.value.faults))


def test_ratings_and_encoders_are_refused(
    causal: Any, tiny: Any, ratings: str, preferences: str, tmp_path: Path
) -> None:
    told = refusal_of(causal("llama"), ratings, tmp_path)
    assert told.startswith("ratings.jsonl:1 task.ratings_are_not_pairs")
    told = refusal_of(tiny("bert"), preferences, tmp_path)
    assert "task.encoder_cannot_generate family=bert" in told


def test_smoothing_under_its_other_name_and_margins_of_ipo_are_refused(
    causal: Any, preferences: str, tmp_path: Path
) -> None:
    smoothing = {"label_smoothing_factor": 0.1}
    told = refusal_of(causal("llama"), preferences, tmp_path, training=smoothing)
    assert "task.label_smoothing_of_preferences" in told
    rows = [{**row, "margin": 1} for row in make_preferences(30)]
    data = write_rows(tmp_path / "a.jsonl", rows)
    told = refusal_of(causal("llama"), data, tmp_path, task={"type": "preference", "loss": "ipo"})
    assert "task.margins_without_sigmoid" in told


def test_it_describes_itself() -> None:
    problem = PreferenceProblem(Preference(beta=0.3), "plain")
    config = problem.to_dict()["config"]
    assert isinstance(config, dict) and config["beta"] == 0.3
    assert problem.presenter.describe(np.array([[-1.5, 0.0]])) == [{"logprob": -1.5}]
