"""What a run took: parameters, memory, time, steps."""

from __future__ import annotations

from typing import Any, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED
from welltuned.schema.messages import Message


@with_config(CLOSED)
class ParameterCount(TypedDict):
    """The size of the tuned model."""

    total: int
    """Parameters of the model with everything that was put in."""
    trainable: int
    """Parameters that train at some time."""


@with_config(CLOSED)
class Cost(TypedDict):
    """What the run took."""

    train_seconds: float
    """Seconds of training, without loading, scoring and saving."""
    examples_per_second: float
    """Training examples (in an RL stage: episodes) per second of training."""
    tokens_per_second: float
    """Tokens per second of training, without padding."""
    peak_memory_bytes: int
    """The most memory held: on a GPU by tensors, else by the process."""
    artifact_bytes: int
    """The size of the artifact's folder."""
    memory_at_start_bytes: NotRequired[int]
    """What the process held before any weight was loaded; 0 on a GPU, whose memory is another."""
    predicted: NotRequired[dict[str, Any]]
    """Earlier releases forecast every run before its first step, and kept it here."""
    padding_fraction: NotRequired[float]
    """The share of computed positions that were padding."""
    padding_fraction_unsorted: NotRequired[float]
    """What it would have been in random batches."""
    flops: NotRequired[float]
    """Floating-point operations of all training steps, without those of frozen blocks whose states
    are kept."""
    hardware_efficiency: NotRequired[float]
    """Those per second, as a share of what the device reaches in a large matrix product."""
    phases: NotRequired[dict[str, float]]
    """Seconds of wall time by what they went into: `import`, `data`, `load`, `probe` (settings that
    were tried), `baseline` (the untouched model), `train`, `validate`, `test`, `generate`,
    `retention`, `save`, `proof`, `report`; in an RL stage `rollout`, `reward`, `learning` and
    `looking` (at validation prompts). What is in none of them is `other`, so the sum is the time
    since the run began: with `welltuned train`, since its process started."""
    cpu_seconds: NotRequired[float]
    """Seconds of CPU time since the run began, on all cores together."""
    before_resuming: NotRequired[dict[str, float]]
    """Of a run that was resumed: `seconds` and `cpu_seconds` of the processes before, until it was
    last saved. They are in `phases` and `cpu_seconds`; what was lost with a process is not."""
    seconds: NotRequired[dict[str, float]]
    """In an RL stage: seconds by part (`rollout`, `reward`, `learning`, …)."""
    stages: NotRequired[dict[str, float]]
    """Of a pipeline in a comparison: seconds of training of `sft`, `reward` and `rl`."""


@with_config(CLOSED)
class Backoff(TypedDict):
    """Memory ran out: a step was taken in smaller micro-batches, and so were all after it."""

    step: int
    """The step."""
    size: int
    """Examples of a micro-batch from then on; a step's examples stayed the same."""


@with_config(CLOSED)
class TrainingProgress(TypedDict):
    """How far training went."""

    steps: int
    """Optimizer steps, or iterations of L-BFGS; in an RL stage batches of episodes."""
    epochs: NotRequired[float]
    """Passes over the training examples, fractions included."""
    best_step: NotRequired[int | None]
    """The step with the best validation score, whose weights were kept; null without one."""
    stopped_early: NotRequired[bool]
    """Whether patience ran out before the planned end."""
    skipped_steps: NotRequired[int]
    """How many of the steps were not taken, as their loss or gradient was not finite."""
    backoffs: NotRequired[list[Backoff]]
    """Each time that memory ran out."""
    optimizer_steps: NotRequired[int]
    """In an RL stage: steps of the optimizer."""
    episodes: NotRequired[int]
    """In an RL stage: responses that were sampled."""
    exploded: NotRequired[Message | str | None]
    """In an RL stage: why training was ended, where a safeguard ended it; earlier releases wrote it
    in English words alone."""
    went_back_to: NotRequired[int | None]
    """In an RL stage: the batch whose weights were restored, where they were."""
