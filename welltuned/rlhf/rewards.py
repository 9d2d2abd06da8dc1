"""Reward functions: a reward model, or the user's own function of (prompt, response).

A reward run, any classifier, a Python function, or a weighted sum of these. What they give
back is looked at every time: a reward that is missing, late or not a number would be learned.
"""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from welltuned.artifact.manifest import is_artifact
from welltuned.artifact.predictor import Predictor
from welltuned.data.batching import evaluation_batches
from welltuned.data.encoding import encode_texts, pad
from welltuned.errors import Fault, InputError, Place, RunFailed, WelltunedError
from welltuned.evaluation.predict import to_device
from welltuned.models import cpu_attention
from welltuned.models.loading import ModelConfig, quiet, read_model_config, read_tokenizer
from welltuned.rlhf.stage_config import RewardSource
from welltuned.schema.import_path import load_callable
from welltuned.tasks import Problem, Verdict

Score = Callable[[list[str], list[str]], Any]
"""`(prompts, responses) -> rewards`, one number a pair."""

_BATCH = 64
_LONGEST = 512


@dataclass(frozen=True)
class RewardFunction:
    """One reward, with its name, its weight and the model behind it."""

    name: str
    score: Score
    weight: float = 1.0
    model: Any = None
    tokenizer: Any = None

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Rewards (N,) without the weight. Raises `RunFailed` when they cannot be used."""
        try:
            given = self.score(list(prompts), list(responses))
        except WelltunedError:
            raise
        except Exception as error:  # the user's own code may fail in any way
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise RunFailed(
                Fault(
                    "rlhf.reward_failed",
                    "the reward '{name}' failed: {kind}: {error}",
                    Place(last.filename, last.lineno),
                    "it is called with two lists of texts: prompts, responses",
                    name=self.name,
                    kind=type(error).__name__,
                    error=error,
                )
            ) from error
        return _checked(self.name, given, responses)


@dataclass(frozen=True)
class WeightedReward:
    """The weighted sum of some judges."""

    judges: tuple[RewardFunction, ...]

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Rewards (N,)."""
        parts = self.parts(prompts, responses)
        return np.sum([j.weight * part for j, part in zip(self.judges, parts, strict=True)], axis=0)

    def parts(self, prompts: Sequence[str], responses: Sequence[str]) -> list[np.ndarray]:
        """Each judge's rewards (N,), without weights."""
        return [judge(prompts, responses) for judge in self.judges]

    def of_all(self, prompts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Rewards (N, K) of every label for every prompt."""
        columns = [self(prompts, [label] * len(prompts)) for label in labels]
        return np.stack(columns, axis=1)


def _checked(name: str, given: Any, responses: Sequence[str]) -> np.ndarray:
    """Rewards as an array (N,) of finite numbers. Raises `RunFailed` for anything else."""
    if isinstance(given, torch.Tensor):
        given = given.detach().float().cpu().numpy()
    try:
        rewards = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RunFailed(_not_numbers(name, error)) from error
    if rewards.shape != (len(responses),):
        raise RunFailed(_bad_shape(name, rewards.shape, len(responses)))
    if not np.isfinite(rewards).all():
        row = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise RunFailed(_not_finite(name, float(rewards[row]), row, responses[row]))
    return rewards.astype(np.float32)


def _not_numbers(name: str, error: Exception) -> Fault:
    return Fault(
        "rlhf.reward_not_numbers",
        "the reward '{name}' does not return numbers: {error}",
        None,
        "return one number per response",
        name=name,
        error=error,
    )


def _bad_shape(name: str, shape: tuple[int, ...], responses: int) -> Fault:
    return Fault(
        "rlhf.reward_bad_shape",
        "the reward '{name}' returns the shape {shape} for {responses} responses",
        None,
        "return one number per response: the shape ({responses},)",
        name=name,
        shape=shape,
        responses=responses,
    )


def _not_finite(name: str, reward: float, row: int, response: str) -> Fault:
    return Fault(
        "rlhf.reward_not_finite",
        "the reward '{name}' is {reward} for response {number} of the batch, {response!r}",
        None,
        "return a finite number for every response",
        name=name,
        reward=reward,
        number=row + 1,
        response=textwrap.shorten(response, 200, placeholder=" …"),
    )


# --- From the config -------------------------------------------------------------


def build_reward(
    source: RewardSource, folder: Path | None, device: torch.device, joint: str = ""
) -> RewardFunction:
    """A judge that can be asked. `folder` is the run of one that was trained.

    `joint` stands between prompt and response where a classifier reads both as one text.
    Raises `InputError` for what is wrong with it.
    """
    if source.kind == "function":
        path = str(source.function)
        return RewardFunction(path, load_callable(path, "reward"), source.weight)
    if source.kind == "model":
        assert source.model is not None
        location = Path(source.model.location).expanduser()
        if not is_artifact(location):
            return _plain_classifier(source, device, joint)
        folder = location
    chosen = folder or Path(str(source.run)).expanduser()
    predictor = Predictor.load(chosen, device.type, merge=False)  # it may share the policy's base
    score = _of_run(predictor, source, chosen, joint)
    return RewardFunction(source.name, score, source.weight, predictor.model, predictor.tokenizer)


def _of_run(predictor: Predictor, source: RewardSource, folder: Path, joint: str) -> Score:
    problem = predictor.problem
    verdict = verdict_of(problem, folder)
    number = label_number(verdict.labels, source, str(folder))
    if verdict.reads_prompts:
        return predictor.rewards

    def score(prompts: list[str], responses: list[str]) -> np.ndarray:
        records = problem.codec.records_of(_read(source, joint, prompts, responses))
        rewards_N = verdict.rewards(predictor.outputs(records, _BATCH), number)
        return _as_asked(rewards_N, source) if verdict.labels else rewards_N

    return score


def verdict_of(problem: Problem, folder: Path) -> Verdict:
    """How a run's outputs serve as a reward. Raises `InputError` when they cannot."""
    if problem.verdict is None:
        raise InputError(
            Fault(
                "rlhf.run_cannot_judge",
                "the run does {task} and cannot judge responses",
                Place(str(folder)),
                "use a reward or classification run",
                task=problem.title,
            )
        )
    return problem.verdict


def _plain_classifier(source: RewardSource, device: torch.device, joint: str) -> RewardFunction:
    """Any sequence classifier of transformers, by folder or hub name."""
    from transformers import AutoModelForSequenceClassification

    assert source.model is not None
    names, several = classifier_labels(source.model)
    number = label_number(names if len(names) > 1 else (), source, source.model.name)
    tokenizer = read_tokenizer(source.model)
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(
            str(Path(source.model.location).expanduser()),
            dtype=getattr(torch, source.model.dtype),
            use_safetensors=True,
            **source.model.source,
        )
        cpu_attention.use_in(model)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.eval().requires_grad_(False).to(device)
    room = min(tokenizer.model_max_length, _LONGEST)

    def score(prompts: list[str], responses: list[str]) -> np.ndarray:
        texts = _read(source, joint, prompts, responses)
        first = [text if isinstance(text, str) else text[0] for text in texts]
        second = None if source.reads != "pair" else responses
        encoded = encode_texts(tokenizer, first, second, room)
        outputs_NK = np.zeros((len(texts), len(names)), dtype=np.float32)
        with torch.inference_mode():
            for rows in evaluation_batches(encoded.lengths, _BATCH):
                batch = to_device(pad(encoded, rows.tolist(), int(tokenizer.pad_token_id)), device)
                outputs_NK[rows] = model(**batch).logits.float().cpu().numpy()
        if len(names) == 1:
            return outputs_NK[:, 0]
        return _worth(outputs_NK, number, several, source)

    return RewardFunction(source.name, score, source.weight, model, tokenizer)


def classifier_labels(model: ModelConfig) -> tuple[list[str], bool]:
    """The labels of a plain classifier, and whether it gives several at once.

    Raises `InputError` when the folder is no sequence classifier.
    """
    config: Any = read_model_config(model)
    architectures = config.architectures or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        raise InputError(
            Fault(
                "rlhf.model_not_a_classifier",
                "'{name}' is not a sequence classifier but {architecture}",
                None,
                "give a model with a classification head, or a run",
                name=model.name,
                architecture=", ".join(architectures) or "a model without a head",
            )
        )
    names = [str(config.id2label[number]) for number in range(config.num_labels)]
    return names, config.problem_type == "multi_label_classification"


def label_number(names: Sequence[str], source: RewardSource, where: str) -> int:
    """Which output is the reward; the only one where there are no names.

    Raises `InputError` when it is not said or does not exist.
    """
    if source.label is not None and source.label in names:
        return list(names).index(source.label)
    if not names and source.label is None:
        return 0
    raise InputError(_bad_label(names, source.label, Place(where)))


def _bad_label(names: Sequence[str], label: str | None, place: Place) -> Fault:
    if not names:
        return Fault(
            "rlhf.reward_label_of_number",
            "'reward.label' is '{label}', but the model gives a number and no labels",
            place,
            "remove it",
            label=label,
        )
    choices = ", ".join(names)
    if label is None:
        return Fault(
            "rlhf.reward_label_missing",
            "the reward is a classifier, and 'reward.label' does not say which label is the good "
            "one",
            place,
            "set reward.label to one of: {choices}",
            choices=choices,
        )
    return Fault(
        "rlhf.reward_label_unknown",
        "there is no label '{label}'",
        place,
        "set reward.label to one of: {choices}",
        label=label,
        choices=choices,
    )


def _read(source: RewardSource, joint: str, prompts: list[str], responses: list[str]) -> list[Any]:
    """What a classifier reads."""
    if source.reads == "response":
        return list(responses)
    pairs = zip(prompts, responses, strict=True)
    if source.reads == "pair":
        return list(pairs)
    return [prompt + joint + response for prompt, response in pairs]


def _worth(outputs_NK: np.ndarray, number: int, several: bool, source: RewardSource) -> np.ndarray:
    """The label's log-odds, or its probability (N)."""
    logits_NK = outputs_NK.astype(np.float64)
    if several:
        odds_N = logits_NK[:, number]
    else:
        others_NJ = np.delete(logits_NK, number, axis=1)
        odds_N = logits_NK[:, number] - np.logaddexp.reduce(others_NJ, axis=1)
    return _as_asked(odds_N, source)


def _as_asked(odds_N: np.ndarray, source: RewardSource) -> np.ndarray:
    return odds_N if source.score == "log_odds" else 1 / (1 + np.exp(-odds_N))
