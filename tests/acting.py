"""Policies and actors made from finished runs, as the pipeline makes them."""

from __future__ import annotations

from typing import Any

import torch

from welltuned.artifact.manifest import ArtifactManifest
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.errors import Faults
from welltuned.rlhf.actors.classifier import ClassifierActor, TextPrompts
from welltuned.rlhf.actors.generator import GeneratorActor
from welltuned.rlhf.policy import Policy, from_run
from welltuned.rlhf.prompts import Prompts, prompts_of
from welltuned.runs import Run

CPU = torch.device("cpu")


def collected(file: str, policy: Policy) -> DataSplits:
    data = collect(
        DataConfig(train=file), policy.problem.codec.roles, Faults(), policy.problem.codec.convert
    )
    assert data is not None
    return data


def policy_of(run: Run, strategy: Any = None) -> Policy:
    strategy = strategy or ArtifactManifest.read(run.model).strategy
    return from_run(run.model, strategy, CPU, 0)


def classifier_actor(policy: Policy, temperature: float = 1.0) -> ClassifierActor:
    return ClassifierActor(policy, temperature, rows_at_once=8)


def generator_actor(policy: Policy, temperature: float = 0.7, length: int = 12) -> GeneratorActor:
    return GeneratorActor(policy, temperature, rows_at_once=8, response_length=length)


def texts_of(policy: Policy, file: str, number: int = 12) -> TextPrompts:
    """The first training examples of a file."""
    records = collected(file, policy).train.take(range(number))
    return TextPrompts(policy.problem.codec.encode(policy.tokenizer, records, policy.max_length))


def story_prompts(policy: Policy, file: str, tokens: int = 3) -> Prompts:
    problem: Any = policy.problem
    return prompts_of(problem.prompter, policy.tokenizer, collected(file, policy).train, 50, tokens)
