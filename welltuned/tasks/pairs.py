"""What is told and measured of compared responses, whatever gives them their rewards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np

from welltuned.data.facts import some_lines
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.errors import Faults
from welltuned.metrics import PairPredictions
from welltuned.metrics.preferences import score_lengths, share_right, sigmoid
from welltuned.schema.messages import Message, message
from welltuned.tasks.examples import Examples
from welltuned.tasks.grouped import Grouped, ResponseTarget
from welltuned.tasks.responses import Form, judged

_MANY = 4
"""Responses to a prompt from which on a batch of prompts may be larger than one thinks."""

Rewards = Sequence[np.ndarray]
"""For each prompt the rewards of its responses (K)."""


class PairFacts(TypedDict):
    """By split: pairs, responses, and in which share of the pairs the longer response is better."""

    pairs: dict[str, int]
    responses: dict[str, int]
    longer_wins: dict[str, float]


# --- Before training -----------------------------------------------------------


def form_of(form: Form, data: DataSplits, faults: Faults) -> Form | None:
    """How prompt and response become one text; conversations need the template."""
    for split in SPLITS:
        records = data[split]
        talks = next((i for i, turns in enumerate(records["messages"]) if turns), None)
        if talks is not None and form == "plain":
            faults.add(
                "task.conversation_as_plain_text",
                "the prompt is a conversation, which 'task.form: plain' cannot write",
                records.place(talks),
                "set task.form=auto",
            )
            return None
        form = "chat" if talks is not None else form
    return form


def facts_of(data: DataSplits) -> PairFacts:
    """Counts for people, and what the longer response would score; warnings are noted."""
    facts: PairFacts = {"pairs": {}, "responses": {}, "longer_wins": {}}
    for split in SPLITS:
        targets = judged(data[split])
        assert targets is not None
        facts["pairs"][split] = sum(len(target.pairs) for target in targets)
        facts["responses"][split] = sum(len(target.lengths_K) for target in targets)
        facts["longer_wins"][split] = longer_wins(targets)["pair_accuracy"]
    most = max(len(said) for said in data.train["responses"])
    share = facts["longer_wins"]["train"]
    data.facts.note(
        "task.longer_wins",
        "In train the longer response is the better one in {share:.1%} of the pairs; "
        "a model that looks at nothing else is right that often.",
        share=share,
    )
    if most > _MANY:
        data.facts.note(
            "task.many_responses",
            "A prompt has up to {most:,} responses, which are read together: "
            "training.per_device_train_batch_size counts prompts, "
            "training.max_tokens_per_step limits the tokens read.",
            most=most,
        )
    return facts


def notes(examples: Examples, split: str) -> list[Message]:
    """What a person should know of encoded pairs."""
    assert isinstance(examples, Grouped)
    if not examples.alike:
        return []
    return [
        message(
            "task.pairs_alike",
            "{split}: pairs whose responses look the same to the model, left out: {number:,} "
            "(line {lines}).",
            split=split,
            number=len(examples.alike),
            lines=some_lines(examples.alike),
        )
    ]


def read(records: Records, faults: Faults) -> np.ndarray:
    """N times `ResponseTarget`; records without judgements are a fault."""
    targets = judged(records)
    if targets is None:
        faults.add(
            "task.responses_not_judged",
            "the responses are not judged",
            records.place(0),
            "give chosen and rejected, or a score",
        )
        return np.empty(0, dtype=object)
    return targets


# --- Judging -------------------------------------------------------------------


def predictions(
    rewards: Rewards, targets: np.ndarray, more: dict[str, float] | None = None
) -> PairPredictions:
    """How rewards order pairs, and whether they go with length; `more` is told beside that."""
    differences_Q, prompts_Q = _differences(rewards, targets)
    lengths = [target.lengths_K for target in targets]
    longer_Q, _ = _differences(lengths, targets)
    every_M, lengths_M = np.concatenate(list(rewards)), np.concatenate(lengths)
    rest = score_lengths(every_M, lengths_M, differences_Q, longer_Q)
    return PairPredictions(differences_Q.astype(np.float64), prompts_Q, rest | (more or {}))


def longer_wins(targets: np.ndarray) -> dict[str, float]:
    """The accuracy of taking the longer response for the better one."""
    return {"pair_accuracy": accuracy([target.lengths_K for target in targets], targets)}


def accuracy(rewards: Rewards, targets: np.ndarray) -> float:
    """In which share of pairs the better response has the higher reward."""
    return share_right(_differences(rewards, targets)[0])


def means(rewards: Rewards, targets: np.ndarray) -> dict[str, float]:
    """The mean reward of either side of the pairs."""
    both_Q2 = [
        (reward_K[pair.winner], reward_K[pair.loser])
        for reward_K, target in zip(rewards, targets, strict=True)
        for pair in target.pairs
    ]
    chosen, rejected = np.mean(both_Q2, axis=0)
    return {"chosen_reward": float(chosen), "rejected_reward": float(rejected)}


def _differences(rewards: Rewards, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Q) the better response's reward less the worse one's, and the number of the prompt."""
    found = [
        (reward_K[pair.winner] - reward_K[pair.loser], i)
        for i, (reward_K, target) in enumerate(zip(rewards, targets, strict=True))
        for pair in target.pairs
    ]
    differences, prompts = zip(*found, strict=True)
    return np.array(differences, dtype=np.float64), np.array(prompts)


# --- Telling -------------------------------------------------------------------


def rows(
    rewards: Rewards, targets: np.ndarray, records: Records, texts: Mapping[str, Mapping[int, str]]
) -> Iterator[Mapping[str, object]]:
    """One row a pair, as if there were two classes, of which `chosen` is always the right one.

    `texts` holds free text in answer to some prompts; it stands in a prompt's first row.
    """
    for i, (reward_K, target) in enumerate(zip(rewards, targets, strict=True)):
        said = records["responses"][i]
        answers = {name: told[i] for name, told in texts.items() if i in told}
        for number, pair in enumerate(target.pairs, 1):
            better, worse = float(reward_K[pair.winner]), float(reward_K[pair.loser])
            chance = float(sigmoid(np.array(better - worse)))
            row: dict[str, object] = {
                "id": f"{records.id(i)}#{number}" if len(target.pairs) > 1 else records.id(i),
                "label": "chosen",
                "prediction": "chosen" if better > worse else "rejected",
                "probabilities": {"chosen": round(chance, 6), "rejected": round(1 - chance, 6)},
                "rewards": {"chosen": better, "rejected": worse},
                "prompt": records["prompt"][i],
                "chosen": said[pair.winner],
                "rejected": said[pair.loser],
            }
            if number == 1 and answers:
                row |= {"reference": said[pair.winner], **answers}
            yield row


def target_in_words(target: ResponseTarget) -> str | float | None:
    """A judgement in the user's own terms: a rating, or which responses are better than which."""
    if not target.pairs:
        return target.score
    return ", ".join(f"{pair.winner + 1} > {pair.loser + 1}" for pair in target.pairs)


def lines(records: Records, index: int) -> list[str]:
    """A record for people: what was asked, and each response."""
    said = records["responses"][index]
    asked = [] if records["prompt"][index] is None else [records["prompt"][index]]
    if not asked and len(said) == 1:
        return list(said)
    return asked + [f"response {i}: {response}" for i, response in enumerate(said, 1)]
