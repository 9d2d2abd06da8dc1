"""Retention (the opposite of forgetting): the same measurements before and after tuning.

A model with a new head is measured by linear probes: is another task still linearly decodable from
its representations? And how far have these drifted (linear CKA)? A language model is measured by
its loss on general text, of hidden tokens where it foretells these, else of each next one; and then
by its KL divergence from the base model, there and on the task's own validation examples. The
latter predicts forgetting, as "RL's Razor" found (Shenfeld, Pari & Agrawal
2025, arXiv 2509.04259).

`kept` is a share: 1 where nothing is forgotten. `retention.kept`, the headline, is the
least share of the abilities: losses, and probes that were clearly better than chance.
Drift and divergence say that a model has moved, which is no loss by itself, and do not
count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from welltuned.evaluation.cka import linear_cka
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.kl_reference import (
    KLReference,
    TokenComparison,
    affordable,
    has_plain_logits,
)
from welltuned.evaluation.linear_probe import right_out_of_fold
from welltuned.evaluation.retention_sets import LabelledSet, RetentionSets, TextSet
from welltuned.metrics.intervals import percentile_interval, resampled_sums
from welltuned.tasks import Examples, Problem, language_modelling, masked_language_modelling

Result = dict[str, Any]
Progress = Callable[[int, int], None]
"""Progress callback of long work: (done, total)."""

ABILITIES = ("probe", "loss")
"""The kinds of measures that count for the headline."""
_MOST_TEXTS = 200
"""Texts on which a divergence is taken: their hidden states are kept all through training."""


class RetentionMeasure(Protocol):
    """What was read of some texts with the base model."""

    kinds: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str: ...

    def compared(self, subject: EvalModel) -> Mapping[str, Result]:
        """Read them again. By name: {"kind", "before", "after", "kept", "why", …}."""
        ...


@dataclass(frozen=True)
class BaseAnswers:
    """Every measure of the base model."""

    questions: tuple[RetentionMeasure, ...]

    @classmethod
    def of(
        cls,
        subject: EvalModel,
        sets: RetentionSets,
        own: Examples,
        trains: Collection[int],
        progress: Progress = lambda done, total: None,
    ) -> BaseAnswers:
        """Measure the base model.

        `own` are the task's validation examples, `trains` the ids of weights that will change.
        """
        questions: list[RetentionMeasure] = []
        every = (*sets.labelled, *sets.texts)
        for number, one in enumerate(every):
            questions += _questions(subject, one, trains)
            progress(number + 1, len(every))
        if subject.speaks:
            questions += _divergence(subject, "validation", own, trains)
        return cls(tuple(questions))

    def compared(self, subject: EvalModel, progress: Progress = lambda done, total: None) -> Result:
        """The part `retention` of results.json: one entry a measure, and the headline."""
        entries: dict[str, Result] = {}
        for number, question in enumerate(self.questions, 1):
            entries |= question.compared(subject)
            progress(number, len(self.questions))
        return {**headline(entries), **entries}

    def kept(self, subject: EvalModel) -> float | None:
        """The headline alone, without measures that do not count for it."""
        entries: dict[str, Result] = {}
        for question in self.questions:
            if any(kind in ABILITIES for kind in question.kinds):
                entries |= question.compared(subject)
        return headline(entries).get("kept")


def _questions(subject: EvalModel, one: TextSet, trains: Collection[int]) -> list[RetentionMeasure]:
    if isinstance(one, LabelledSet):
        return [Probe.of(subject, one)]
    if subject.masked:
        return [Loss.of(subject, one.name, *as_examples(subject, one))]
    if subject.has_lm_head:
        problem, examples = as_examples(subject, one)
        divergence = _divergence(subject, one.name, examples, trains)
        if divergence and len(divergence[0].reference.texts) == len(examples):
            return [LossAndDivergence(one.name, divergence[0])]
        return [Loss.of(subject, one.name, problem, examples), *divergence]
    return [Drift.of(subject, one)]


def headline(entries: dict[str, Result]) -> Result:
    """{"kept", "kept_ci95", "decided_by"} of the ability that kept the least; none without any."""
    able = {name: entry for name, entry in entries.items() if entry["kind"] in ABILITIES}
    if not able:
        return {}
    able = {name: entry for name, entry in able.items() if _was_able(entry)} or able
    worst = min(able, key=lambda name: able[name]["kept"])
    told = {key: able[worst][key] for key in ("kept", "kept_ci95")}
    return {**told, "decided_by": worst}


def _was_able(entry: Result) -> bool:
    """Whether there was anything to forget: a probe was clearly better than chance.

    By three standard errors, and by a fifth of what there is above chance: the share that
    is left of less is mostly noise.
    """
    chance = entry.get("chance")
    if chance is None:
        return True
    error = math.sqrt(chance * (1 - chance) / entry["examples"])
    return bool(entry["before"] > chance + max(3 * error, 0.2 * (1 - chance)))


# --- Models with a new head ----------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """Another labelled task, by a linear probe on frozen features."""

    kinds: ClassVar[tuple[str, ...]] = ("probe",)
    name: str
    task: LabelledSet
    right_N: np.ndarray
    """Which texts the cross-validated probe got right."""

    @classmethod
    def of(cls, subject: EvalModel, task: LabelledSet) -> Probe:
        return cls(f"probe_{task.name}", task, _read_off(subject, task))

    def compared(self, subject: EvalModel) -> Mapping[str, Result]:
        pairs_N2 = np.stack([self.right_N, _read_off(subject, self.task)], axis=1).astype(float)
        before, after = (float(share) for share in pairs_N2.mean(axis=0))
        draws_R2 = resampled_sums(pairs_N2)
        entry = {
            "kind": "probe",
            "before": before,
            "after": after,
            "kept": _ratio(after, before),
            "kept_ci95": percentile_interval(draws_R2[:, 1] / np.maximum(draws_R2[:, 0], 1.0)),
            "chance": float(np.bincount(self.task.classes).max() / len(pairs_N2)),
            "why": f"accuracy of a linear probe that tells {len(self.task.labels)} classes of "
            f"{len(self.task.texts):,} texts apart, by frozen features; kept = after / before",
            "source": self.task.records.source,
            "examples": len(self.task.texts),
        }
        return {self.name: entry}


def _read_off(subject: EvalModel, task: LabelledSet) -> np.ndarray:
    return subject.once(
        ["read off", subject.encode(task.texts), task.classes],
        lambda: right_out_of_fold(subject.features(task.texts), task.classes),
    )


def _ratio(after: float, before: float) -> float:
    return after / before if before > 0 else 1.0


@dataclass(frozen=True)
class Drift:
    """Representation drift on general text, against the base model."""

    kinds: ClassVar[tuple[str, ...]] = ("cka",)
    name: str
    texts: TextSet
    features_NH: np.ndarray

    @classmethod
    def of(cls, subject: EvalModel, texts: TextSet) -> Drift:
        return cls(f"cka_{texts.name}", texts, subject.features(texts.texts))

    def compared(self, subject: EvalModel) -> Mapping[str, Result]:
        similarity = linear_cka(self.features_NH, subject.features(self.texts.texts))
        entry = {
            "kind": "cka",
            "before": 1.0,
            "after": similarity,
            "kept": similarity,
            "why": "linear CKA of the last hidden states with those before, over "
            f"{len(self.features_NH):,} texts; 1 = the same up to rotation and scale",
            "source": self.texts.records.source,
            "examples": len(self.features_NH),
        }
        return {self.name: entry}


# --- Language models -----------------------------------------------------------


def as_examples(subject: EvalModel, texts: TextSet) -> tuple[Problem, Examples]:
    """Texts or conversations as a language model reads them, and the problem that judges them."""
    problem = masked_language_modelling() if subject.masked else language_modelling(texts.records)
    return problem, problem.codec.encode(subject.tokenizer, texts.records, subject.max_length)


@dataclass(frozen=True)
class Loss:
    """The loss of a language model on texts that are not the task's."""

    kinds: ClassVar[tuple[str, ...]] = ("loss",)
    name: str
    problem: Problem
    examples: Examples
    sums_N2: np.ndarray
    """Each example's summed loss, and the tokens it is of."""

    @classmethod
    def of(cls, subject: EvalModel, name: str, problem: Problem, examples: Examples) -> Loss:
        sums_N2 = subject.outputs(problem, examples)[:, :2]
        return cls(f"loss_{name}", problem, examples, sums_N2)

    def compared(self, subject: EvalModel) -> Mapping[str, Result]:
        after_N = subject.outputs(self.problem, self.examples)[:, 0]
        sums_N3 = np.column_stack([self.sums_N2, after_N]).astype(np.float64)
        return {self.name: _loss_entry(sums_N3, self.examples.records.source)}


def _loss_entry(sums_N3: np.ndarray, source: str) -> Result:
    """Of each text: the summed loss before, the tokens it is of, and the summed loss after."""
    before, tokens, after = sums_N3.sum(axis=0)
    draws_R3 = resampled_sums(sums_N3)
    kept_R = np.exp((draws_R3[:, 0] - draws_R3[:, 2]) / draws_R3[:, 1])
    return {
        "kind": "loss",
        "before": float(before / tokens),
        "after": float(after / tokens),
        "kept": math.exp((before - after) / tokens),
        "kept_ci95": percentile_interval(kept_R),
        "why": f"loss per token on {len(sums_N3):,} texts; kept = exp(before - after), "
        "the share of a token's probability that is left",
        "source": source,
        "examples": len(sums_N3),
    }


@dataclass(frozen=True)
class Divergence:
    """KL divergence of a language model's predictions from the base model's."""

    kinds: ClassVar[tuple[str, ...]] = ("kl",)
    name: str
    source: str
    reference: KLReference

    def compared(self, subject: EvalModel) -> Mapping[str, Result]:
        return {self.name: self.entry(self.read(subject))}

    def read(self, subject: EvalModel) -> TokenComparison:
        """All texts, beside the base model."""
        import torch

        with torch.no_grad():
            return self.reference.compared(
                subject.model,
                range(len(self.reference.texts)),
                subject.batch_size,
                subject.precision,
            )

    def entry(self, found: TokenComparison) -> Result:
        """What was read, in the report's words."""
        mean, number = float(found.nats_M.double().mean()), len(self.reference.texts)
        return {
            "kind": "kl",
            "before": 0.0,
            "after": mean,
            "kept": math.exp(-mean),
            "why": f"KL(before || after) per token in nats, on {number:,} texts; kept = exp(-KL)",
            "source": self.source,
            "examples": number,
        }


@dataclass(frozen=True)
class LossAndDivergence:
    """Both on the same texts, which are read once for them."""

    kinds: ClassVar[tuple[str, ...]] = ("loss", "kl")
    name: str
    divergence: Divergence

    def compared(self, subject: EvalModel) -> Mapping[str, Result]:
        found, divergence = self.divergence.read(subject), self.divergence
        losses_2M = found.losses_2M.double().cpu().numpy()
        before_M, after_M = losses_2M
        columns = (before_M, np.ones_like(before_M), after_M)
        number = len(divergence.reference.texts)
        sums = [np.bincount(found.texts_M, column_M, number) for column_M in columns]
        return {
            f"loss_{self.name}": _loss_entry(np.stack(sums, axis=1), divergence.source),
            divergence.name: divergence.entry(found),
        }


def _divergence(
    subject: EvalModel, name: str, examples: Examples, trains: Collection[int]
) -> Sequence[Divergence]:
    """One measure; none for families whose logits cannot be computed a chunk at a time."""
    texts = examples.encoded.take(affordable(examples.lengths, range(len(examples)), _MOST_TEXTS))
    if not has_plain_logits(subject.model, texts):
        return []
    reference = KLReference.of(
        subject.model,
        texts,
        subject.pad_id,
        subject.batch_size,
        trains,
        subject.precision,
        subject.once,
    )
    return [Divergence(f"kl_{name}", examples.records.source, reference)]
