"""GRPO as TRL's own trainer does it, with a reward that can be checked: the final number is right.

All weights train, nothing is shuffled, no weight decays, and the learning rate is constant. One
whole process; it knows nothing of welltuned.

    python benchmarks/peers/trl_grpo.py --model FOLDER --rows rows.jsonl --steps 6 --out out.json
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer


def right(completions: list[str], answer: list[int], **others: object) -> list[float]:
    """1 where the last number of a completion is the answer, else 0."""
    last = [re.findall(r"\d+", text)[-1:] for text in completions]
    return [float(said == [str(one)]) for said, one in zip(last, answer, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = [json.loads(line) for line in options.rows.read_text(encoding="utf-8").splitlines()]
    asked = [{"prompt": row["prompt"], "answer": int(row["completion"])} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            output_dir=folder,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size // 2,
            gradient_accumulation_steps=2,
            num_generations=options.generations,
            max_completion_length=8,
            beta=0.04,
            loss_type="grpo",
            learning_rate=options.learning_rate,
            lr_scheduler_type="constant",
            warmup_steps=0,
            weight_decay=0.0,
            shuffle_dataset=False,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=1,
        )
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(options.model),
            reward_funcs=right,
            args=arguments,
            train_dataset=Dataset.from_list(asked),
            processing_class=tokenizer,
        )
        trainer.train()
        rewards = [one["reward"] for one in trainer.state.log_history if "reward" in one]
    options.out.write_text(json.dumps({"losses": rewards}))


if __name__ == "__main__":
    main()
