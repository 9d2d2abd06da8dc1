"""The losses of the first optimizer steps as TRL's trainers compute them, step after step.

All weights train, nothing is shuffled, no weight decays, the learning rate is constant and dropout
is off: so whoever defines the loss in the same way gets the same numbers. One whole process; it
knows nothing of welltuned.

    python benchmarks/peers/trl_losses.py --work sft --model FOLDER --rows rows.jsonl --steps 10 \\
        --out losses.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

TRAINERS: dict[str, tuple[Any, Any, dict[str, object]]] = {
    "sft": (SFTTrainer, SFTConfig, {}),
    "dpo": (DPOTrainer, DPOConfig, {}),
    "ipo": (DPOTrainer, DPOConfig, {"loss_type": "ipo"}),
    "kto": (KTOTrainer, KTOConfig, {}),
    "reward": (RewardTrainer, RewardConfig, {}),
}
"""Trainer, its config, and what of that is not the default."""


def turned(row: dict[str, Any]) -> dict[str, Any]:
    """A row of texts as a conversation; thumbs stay what they are."""
    roles = {"prompt": "user"}
    return {
        name: [{"role": roles.get(name, "assistant"), "content": value}]
        if isinstance(value, str)
        else value
        for name, value in row.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=TRAINERS, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--plain", action="store_true", help="texts as they are, no conversations")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    trainer_class, config_class, more = TRAINERS[options.work]
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = [json.loads(line) for line in options.rows.read_text(encoding="utf-8").splitlines()]
    if tokenizer.chat_template and not options.plain:
        rows = [turned(row) for row in rows]
    judges = options.work == "reward"
    kind = AutoModelForSequenceClassification if judges else AutoModelForCausalLM
    given = {"num_labels": 1} if judges else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = config_class(
            output_dir=folder,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            lr_scheduler_type="constant",
            warmup_steps=0,
            weight_decay=0.0,
            max_length=512,
            train_sampling_strategy="sequential",
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=1,
            **more,
        )
        trainer = trainer_class(
            model=kind.from_pretrained(options.model, **given),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        trainer.train()
        losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    options.out.write_text(json.dumps({"losses": losses}))


if __name__ == "__main__":
    main()
