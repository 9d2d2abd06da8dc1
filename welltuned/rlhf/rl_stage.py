"""RL stage as an ordinary run, with its folder, verification and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from welltuned.artifact.verify import EXAMPLES, WeightChanges, compare_weights, prove
from welltuned.engines.device import autocast
from welltuned.engines.snapshot import Snapshot
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.quantization import weight_count
from welltuned.reports.rl import write_rl_report
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.loop import Loop, LoopTotals
from welltuned.rlhf.policy_eval import PolicyEval, look_twice, mean_interval
from welltuned.rlhf.resume import note_asked, require_same_data
from welltuned.rlhf.rl_session import RlSession, Sources, make_ready, write_start
from welltuned.runs import Run, process_memory
from welltuned.runs.phases import CLOCK, phase
from welltuned.runs.results_schema import ProofRecord, Scores
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.results import peak_memory, write_results
from welltuned.training.trackers.tracking import Tracking, tracking


def run_rl_stage(
    config: RlhfConfig,
    sft: Path | None,
    sources: Sources,
    run: Run,
    observer: Observer,
    command: str | None,
    cache: DataCache,
    start: Snapshot | None = None,
) -> None:
    """The policy from the model folder of an SFT run, or from the pretrained model; into `run`.

    `start` is what it goes on from, where it was interrupted. Raises `InputError` or `RunFailed`.
    """
    process_memory.forget_peak()
    CLOCK.begin()
    with tracking(run, config.training.report_to, observer.noted) as trackers:
        with phase("load"):
            ready = make_ready(config, sft, sources, observer, cache)
            if start is None:
                write_start(ready, sft, sources, run, command)
                note_asked(run, config, ready.data_fingerprint)
            else:
                require_same_data(run, ready.data_fingerprint)
                CLOCK.carry(start.numbers["spent"])
        trackers.begin(0 if start is None else start.step)
        _carry_out(ready, run, observer, trackers, start)


def _carry_out(
    ready: RlSession, run: Run, observer: Observer, trackers: Tracking, start: Snapshot | None
) -> None:
    """From the first batch on, or from where it was interrupted."""
    with phase("learning"):
        heard = observer, start, trackers.told
        loop = Loop(ready.learner, ready.asks, ready.judges, run, *heard)
        course = loop.train()
    with phase("test"), loop.saved_when_stopped():
        judges = ready.judges  # the test split is read here, once
        actor, asked = ready.learner.actor, ready.asks.test
        after, first = look_twice(actor, asked, judges.reward, judges.second)
    artifact_bytes, proof = _save_and_prove(ready, run)
    results = {**_results(ready, course, after, first, artifact_bytes), "proof": proof}
    run.write_lines("predictions.jsonl", _predictions(ready, after, first))
    write_results(run, results, write_rl_report)
    trackers.conclude(results)


# --- After -----------------------------------------------------------------------


@phase("save")
def _save_and_prove(ready: RlSession, run: Run) -> tuple[int, ProofRecord]:
    """(bytes of the artifact, what it does when it is loaded afresh)."""
    moved = compare_weights(ready.policy.model, ready.before)
    ready.policy.strategy.finish(ready.policy.model)
    artifact_bytes = ready.policy.save(run.model)
    return artifact_bytes, _prove(ready, run, moved)


@phase("proof")
def _prove(ready: RlSession, run: Run, moved: WeightChanges) -> ProofRecord:
    """Load the artifact afresh and compare what both make of some texts."""
    policy, device = ready.policy, ready.learner.actor.device
    records = ready.asks.records["validation"]
    few = records.take(range(min(EXAMPLES, len(records))))
    if (prompter := policy.problem.prompter) is not None:
        few = prompter.as_answers(ready.asks.validation.texts[: len(few)])
    examples = policy.problem.codec.encode(policy.tokenizer, few, policy.max_length)
    outputs = predict_outputs(
        policy.model,
        policy.problem,
        examples,
        int(policy.tokenizer.pad_token_id),
        EXAMPLES,
        autocast(policy.precision, device),
    )
    return prove(moved, ready.before, outputs, run.model, few, device).as_dict()


def _results(
    ready: RlSession, course: LoopTotals, after: PolicyEval, first: PolicyEval, artifact_bytes: int
) -> dict[str, Any]:
    """results.json: the policy on the test split beside its reference, and the cost."""
    model, seconds = ready.policy.model, course.seconds
    spent = sum(seconds.get(part, 0.0) for part in ("rollout", "reward", "learning"))
    gain_N = after.rewards_N - first.rewards_N
    named = [(n, w) for n, w in model.named_parameters() if ".original_module." not in n]
    test = _scores(ready, after)
    gain = {"reward_gain": float(gain_N.mean()), "reward_gain_ci95": mean_interval(gain_N)}
    return {
        "test": {
            "reward": test.pop("reward"),
            "reward_ci95": test.pop("reward_ci95"),
            **gain,
            **test,
        },
        "validation": course.validation,
        "baselines": {"sft": _scores(ready, first)},
        "parameters": {
            "total": sum(weight_count(weight) for _, weight in named),
            "trainable": sum(
                w.numel() for group in ready.learner.policy_groups for w in group.parameters
            ),
        },
        "cost": {
            "train_seconds": spent,
            "seconds": seconds,
            "examples_per_second": course.episodes / max(spent, 1e-9),
            "tokens_per_second": course.tokens / max(spent, 1e-9),
            "peak_memory_bytes": peak_memory(ready.learner.actor.device),
            "artifact_bytes": artifact_bytes,
        },
        "memory": {"roles": ready.memory, "shared_with_judges": ready.saved},
        "training": {
            "steps": course.batches,
            "optimizer_steps": course.optimizer_steps,
            "episodes": course.episodes,
            "exploded": course.exploded,
            "went_back_to": course.went_back_to,
        },
        "choices": [str(choice) for choice in ready.choices],
        "metric": "reward",
    }


def _scores(ready: RlSession, found: PolicyEval) -> Scores:
    """What the judges say, and for a classifier the scores of its labels too."""
    scores = found.scores(intervals=True)
    if found.outputs_NK is None:
        return scores
    targets = ready.asks.test.examples.targets
    return scores | ready.policy.problem.scorer.score(found.outputs_NK, targets, intervals=True)


def _predictions(ready: RlSession, after: PolicyEval, first: PolicyEval) -> list[dict[str, Any]]:
    """One row a test prompt: what was answered before and after, and what that was worth."""
    records = ready.asks.records["test"]
    presenter, outputs_NK = ready.policy.problem.presenter, after.outputs_NK
    told = presenter.describe(outputs_NK) if outputs_NK is not None else None
    targets = None if told is None else ready.asks.test.examples.targets
    rows = []
    for i, (now, then) in enumerate(zip(after.rows(), first.rows(), strict=True)):
        row: dict[str, Any] = {"id": records.id(i)}
        if told is not None and targets is not None:
            row |= {"label": presenter.target_of(targets[i]), **told[i]}
        earlier = {"before": then["response"], "reward_before": then["reward"]}
        rows.append({**row, **now, **earlier})
    return rows
