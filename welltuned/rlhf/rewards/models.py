"""Models as judges: the model of a reward or classification run, or any classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from welltuned.artifact.manifest import is_artifact
from welltuned.artifact.predictor import Predictor
from welltuned.data.batching import evaluation_batches
from welltuned.data.tokens.encoding import encode_texts, pad
from welltuned.errors import Fault, InputError, Place
from welltuned.evaluation.predict import to_device
from welltuned.models import cpu_attention
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config, read_tokenizer
from welltuned.models.silence import quiet
from welltuned.rlhf.rewards.base import Score
from welltuned.rlhf.rewards.functions import RewardFunction
from welltuned.rlhf.rewards.judge import JudgeSource
from welltuned.tasks import Problem, Verdict

_BATCH = 64
_LONGEST = 512


def judge_of(
    source: JudgeSource, folder: Path | None, device: torch.device, joint: str
) -> RewardFunction:
    """A finished run, the one in `folder`, or any classifier, as a reward. Raises `InputError`."""
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


def _of_run(predictor: Predictor, source: JudgeSource, folder: Path, joint: str) -> Score:
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


def _plain_classifier(source: JudgeSource, device: torch.device, joint: str) -> RewardFunction:
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


def label_number(names: Sequence[str], source: JudgeSource, where: str) -> int:
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


def _read(source: JudgeSource, joint: str, prompts: list[str], responses: list[str]) -> list[Any]:
    """What a classifier reads."""
    if source.reads == "response":
        return list(responses)
    pairs = zip(prompts, responses, strict=True)
    if source.reads == "pair":
        return list(pairs)
    return [prompt + joint + response for prompt, response in pairs]


def _worth(outputs_NK: np.ndarray, number: int, several: bool, source: JudgeSource) -> np.ndarray:
    """The label's log-odds, or its probability (N)."""
    logits_NK = outputs_NK.astype(np.float64)
    if several:
        odds_N = logits_NK[:, number]
    else:
        others_NJ = np.delete(logits_NK, number, axis=1)
        odds_N = logits_NK[:, number] - np.logaddexp.reduce(others_NJ, axis=1)
    return _as_asked(odds_N, source)


def _as_asked(odds_N: np.ndarray, source: JudgeSource) -> np.ndarray:
    return odds_N if source.score == "log_odds" else 1 / (1 + np.exp(-odds_N))
