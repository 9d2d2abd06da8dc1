"""Rewards as functions of prompts and responses, and what they may not give back.

A reward that is missing, late or not a number would be learned, so each is looked at every time.
"""

from __future__ import annotations

import contextvars
import textwrap
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from welltuned.errors import Fault, InputError, Place, RunFailed, WelltunedError
from welltuned.rlhf.rewards.base import Columns, Score


class RewardError(RunFailed):
    """A reward could not be had. No weight has changed since the last step."""


@dataclass(frozen=True)
class RewardFunction:
    """One reward, with its name, its weight and the model behind it."""

    name: str
    score: Score
    weight: float = 1.0
    model: Any = None
    tokenizer: Any = None
    columns: tuple[str, ...] = ()
    """The columns that it is given beside prompts and responses."""
    time_limit: float | None = None
    """Seconds that one call may take; none for as long as it takes."""

    def __call__(
        self, prompts: Sequence[str], responses: Sequence[str], columns: Columns | None = None
    ) -> np.ndarray:
        """Rewards (N,) without the weight. Raises `RewardError` when they cannot be used, and
        `InputError` where a column that it reads is not among `columns`."""
        asked: list[Any] = [list(prompts), list(responses)]
        if self.columns:
            asked.append(self._cells(columns or {}))
        try:
            given = self._asked(asked)
        except WelltunedError:
            raise
        except Exception as error:  # the user's own code may fail in any way
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise RewardError(
                Fault(
                    "rlhf.reward_failed",
                    "the reward '{name}' failed: {kind}: {error}",
                    Place(last.filename, last.lineno),
                    "it is called with two lists of texts, prompts and responses, and where it "
                    "has columns with {{name: cells}}",
                    name=self.name,
                    kind=type(error).__name__,
                    error=error,
                )
            ) from error
        return _checked(self.name, given, responses)

    def _cells(self, columns: Columns) -> dict[str, list[Any]]:
        missing = [name for name in self.columns if name not in columns]
        if missing:
            raise InputError(
                Fault(
                    "rlhf.reward_columns_not_given",
                    "the reward '{name}' reads the column '{column}', which it is not given",
                    None,
                    "call it with prompts, responses and {{'{column}': […]}}",
                    name=self.name,
                    column=missing[0],
                )
            )
        return {name: list(columns[name]) for name in self.columns}

    def _asked(self, asked: list[Any]) -> Any:
        """What the function gives back. Raises `RewardError` when it is not back in time.

        With a time limit it is called in a thread, for nothing else lets go of a call that hangs.
        """
        if self.time_limit is None:
            return self.score(*asked)
        found: list[tuple[Any, BaseException | None]] = []

        def call() -> None:
            try:
                found.append((self.score(*asked), None))
            except BaseException as error:
                found.append((None, error))

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(call,), daemon=True)
        thread.start()
        thread.join(self.time_limit)
        if not found:
            raise RewardError(_too_slow(self.name, self.time_limit))
        given, error = found[0]
        if error is not None:
            raise error
        return given


@dataclass(frozen=True)
class WeightedReward:
    """The weighted sum of some judges."""

    judges: tuple[RewardFunction, ...]

    def __call__(
        self, prompts: Sequence[str], responses: Sequence[str], columns: Columns | None = None
    ) -> np.ndarray:
        """Rewards (N,); `columns` as `{name: N cells}`, for judges that read any."""
        parts = self.parts(prompts, responses, columns)
        return np.sum([j.weight * part for j, part in zip(self.judges, parts, strict=True)], axis=0)

    def parts(
        self, prompts: Sequence[str], responses: Sequence[str], columns: Columns | None = None
    ) -> list[np.ndarray]:
        """Each judge's rewards (N,), without weights."""
        return [judge(prompts, responses, columns) for judge in self.judges]

    def of_all(
        self, prompts: Sequence[str], labels: Sequence[str], columns: Columns | None = None
    ) -> np.ndarray:
        """Rewards (N, K) of every label for every prompt."""
        found = [self(prompts, [label] * len(prompts), columns) for label in labels]
        return np.stack(found, axis=1)


def _checked(name: str, given: Any, responses: Sequence[str]) -> np.ndarray:
    """Rewards as an array (N,) of finite numbers. Raises `RewardError` for anything else."""
    if isinstance(given, torch.Tensor):
        given = given.detach().float().cpu().numpy()
    try:
        rewards = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RewardError(_not_numbers(name, error)) from error
    if rewards.shape != (len(responses),):
        raise RewardError(_bad_shape(name, rewards.shape, len(responses)))
    if not np.isfinite(rewards).all():
        row = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise RewardError(_not_finite(name, float(rewards[row]), row, responses[row]))
    return rewards.astype(np.float32)


def _too_slow(name: str, seconds: float) -> Fault:
    return Fault(
        "rlhf.reward_too_slow",
        "the reward '{name}' was not back after {seconds:g} s",
        None,
        "mend what it waits for; `welltuned resume` then goes on after the last batch",
        name=name,
        seconds=seconds,
    )


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
