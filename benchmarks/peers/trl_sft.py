"""Supervised fine-tuning as TRL's own example writes it: `SFTTrainer` with LoRA.

One whole process, from imports to the loss on the test file. It knows nothing of welltuned.

    python benchmarks/peers/trl_sft.py --model FOLDER --train train.jsonl --test test.jsonl \\
        --seed 0 --out scores.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


def read(file: Path, chat: bool) -> Dataset:
    """Alpaca's instructions, as conversations where the tokenizer has a template for them."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def turn(role: str, text: str) -> Any:
        return [{"role": role, "content": text}] if chat else text

    prompts = ["\n\n".join(filter(None, (row["instruction"], row.get("input")))) for row in rows]
    return Dataset.from_list(
        [
            {"prompt": turn("user", prompt), "completion": turn("assistant", row["output"])}
            for prompt, row in zip(prompts, rows, strict=True)
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    chat = bool(tokenizer.chat_template)
    train, test = (read(file, chat) for file in (options.train, options.test))
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=8,
            per_device_eval_batch_size=8,
            learning_rate=2e-4,
            max_length=512,
            seed=options.seed,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(options.model),
            args=arguments,
            train_dataset=train,
            eval_dataset=test,
            processing_class=tokenizer,
            peft_config=LoraConfig(
                task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear"
            ),
        )
        trainer.train()
        scores = trainer.evaluate()
    options.out.write_text(json.dumps({"loss": scores["eval_loss"]}))


if __name__ == "__main__":
    main()
