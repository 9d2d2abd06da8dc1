"""The runs that every later version repeats: names, and configs as a user writes them.

Paths are relative to a folder that `material.write_material` has filled.
"""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]

STRATEGIES: dict[str, Config] = {
    "full": {"type": "full", "layer_decay": 0.9},
    "partial": {"type": "partial", "num_blocks": 1},
    "gradual": {"type": "gradual", "until": 0.8, "num_blocks": 2},
    "lora": {"type": "lora", "r": 4},
    "prompt": {"type": "prompt", "num_virtual_tokens": 4},
    "prefix": {"type": "prefix", "num_virtual_tokens": 4},
    "adapter": {"type": "adapter", "reduction_factor": 8},
}
VARIANTS: dict[str, Config] = {
    "head": {"type": "partial", "num_blocks": 0},
    "projected": {
        "type": "prefix",
        "num_virtual_tokens": 4,
        "prefix_projection": True,
        "encoder_hidden_size": 16,
    },
    "pfeiffer": {"type": "adapter", "reduction_factor": 8, "placement": "pfeiffer"},
    "parallel": {"type": "adapter", "reduction_factor": 8, "placement": "parallel", "scale": 4},
}
"""Further forms of the strategies."""

ANSWERS: Config = {"decoding": {"max_new_tokens": 6}, "scored_examples": 3}
TASKS: dict[str, Config] = {
    "single": {"model": "encoder", "data": "single", "task": {"pooling": "mean"}},
    "multi": {
        "model": "encoder",
        "data": "multi",
        "task": {"problem": "multi_label", "label_separator": ";"},
    },
    "regression": {
        "model": "encoder",
        "data": "regression",
        "task": {"problem": "regression", "pooling": "first"},
    },
    "pair": {"model": "encoder", "data": "pair", "task": {"pooling": "mean"}},
    "decoded": {"model": "decoder", "data": "single", "task": {"pooling": "last"}},
    "token": {"model": "encoder", "data": "tagged", "task": "token_classification"},
    "generation": {
        "model": "decoder",
        "data": "completions",
        "task": {"type": "generation", **ANSWERS},
    },
    "chat": {"model": "chatter", "data": "chat", "task": {"type": "generation", **ANSWERS}},
    "reward": {"model": "encoder", "data": "preferences", "task": "reward"},
    "preference": {
        "model": "decoder",
        "data": "preferences",
        "task": {"type": "preference", **ANSWERS},
    },
}
"""One task of every family."""

PROTECTIONS: dict[str, tuple[str, Config]] = {
    "l2sp": ("single", {"type": "l2sp", "alpha": 0.5}),
    "ewc": ("single", {"type": "ewc", "lambda": 0.5, "texts": 5}),
    "kl": ("generation", {"type": "kl", "weight": 2.0, "texts": 3}),
    "replay": ("single", {"type": "replay", "share": 0.2}),
    "wise_ft": ("single", {"type": "wise_ft", "alphas": [0.0, 0.5, 1.0]}),
    "lp_ft": ("single", {"type": "lp_ft", "share": 0.4}),
}
"""Every protection, with the task that it is tried on."""

SHORT = (
    "single/full/torch",
    "single/gradual/hf",
    "multi/lora/torch",
    "regression/partial/torch",
    "pair/adapter/torch",
    "token/prefix/torch",
    "generation/lora/torch",
    "chat/full/torch",
    "reward/prompt/torch",
    "preference/lora/torch",
    "protection/l2sp",
    "ppo/classifier",
)
"""Those that the ordinary tests repeat."""


def every_case() -> dict[str, Config]:
    """Configs by name, without an output folder."""
    return {
        **{
            f"{task}/{strategy}/{engine}": run(task, STRATEGIES[strategy], engine=engine)
            for task in TASKS
            for strategy in STRATEGIES
            for engine in ("torch", "hf")
        },
        **{f"variant/{name}": run("single", VARIANTS[name]) for name in VARIANTS},
        **{f"protection/{name}": protected(name) for name in PROTECTIONS},
        **{f"measured/{task}": measured(task) for task in ("single", "generation")},
        **{f"training/{name}": run("single", STRATEGIES["full"], **TRAININGS[name])
           for name in TRAININGS},
        **{f"ppo/{actor}": pipeline for actor, pipeline in PIPELINES.items()},
    }  # fmt: skip


def run(task: str, strategy: Config, **changes: Any) -> Config:
    """A run of eight steps, every one logged; nothing is left to the machine to choose."""
    training = {
        "max_steps": 8,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 8,
        "precision": "fp32",
        "device": "cpu",
        "logging_steps": 1,
        "seed": 1,
        **changes.pop("training", {}),
    }
    values = TASKS[task]
    data = {"train": f"{values['data']}.jsonl", "split": {"validation": 0.2, "test": 0.2}}
    return {
        "model": f"./{values['model']}",
        "data": {**data, **changes.pop("data", {})},
        "task": values["task"],
        "strategy": strategy,
        "training": training,
        "evaluation": {"retention": "none", "untrained": False},
        **changes,
    }


TRAININGS: dict[str, Config] = {
    "accumulated": {
        "training": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    },
    "smoothed": {"training": {"label_smoothing_factor": 0.1, "lr_scheduler_type": "cosine"}},
    "filled": {"training": {"max_tokens_per_step": 80}},
}
"""What training may be told besides its strategy."""


def protected(name: str) -> Config:
    """A whole model that is kept from forgetting."""
    task, protection = PROTECTIONS[name]
    data = {"replay": "replay.jsonl"} if name == "replay" else {}
    return run(task, STRATEGIES["full"], data=data, protection=protection)


def measured(task: str) -> Config:
    """A run that says what it forgot, what its blocks know, and how it did untrained."""
    evaluation = {"retention": "auto", "untrained": True, "probe": task == "single"}
    return run(task, STRATEGIES["lora"], evaluation=evaluation)


def pipeline(task: str, function: str, **ppo: Any) -> Config:
    """Supervised fine-tuning and six batches of PPO, judged by a function in here."""
    stage = run(task, STRATEGIES["lora"])
    steps = {
        "batch_size": 16,
        "total_episodes": 96,
        "learning_rate": 3e-3,
        "eval_steps": 3,
        "seed": 1,
        "device": "cpu",
    }
    return {
        "pipeline": "rlhf",
        **{key: stage[key] for key in ("model", "data", "task", "strategy")},
        "sft": {key: stage[key] for key in ("training", "evaluation")},
        "reward": {"function": f"cases.{function}"},
        "ppo": {**steps, **ppo},
    }


PIPELINES: dict[str, Config] = {
    "classifier": pipeline("single", "wants_bad"),
    "generator": pipeline("generation", "wants_good", response_length=6, prompt_length=3),
    "judged": {
        **pipeline("generation", "", response_length=6, prompt_length=3, allow_weak_reward=True),
        "reward": {
            key: run("reward", STRATEGIES["full"])[key]
            for key in ("model", "data", "strategy", "training", "evaluation")
        },
    },
}
"""PPO with either kind of actor, and with a judge that is trained first."""


def wants_bad(prompts: list[str], responses: list[str]) -> list[float]:
    """A reward for classifiers."""
    return [1.0 if response == "bad" else -0.5 for response in responses]


def wants_good(prompts: list[str], responses: list[str]) -> list[float]:
    """A reward for generators: the share of the word `good`."""
    return [text.split().count("good") / max(1, len(text.split())) for text in responses]
