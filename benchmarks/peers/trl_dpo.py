"""Direct preference optimisation as TRL's own example writes it: `DPOTrainer` with LoRA.

One whole process, from imports to the accuracy on the test pairs. It knows nothing of welltuned.

    python benchmarks/peers/trl_dpo.py --model FOLDER --train train.jsonl --test test.jsonl \\
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
from trl import DPOConfig, DPOTrainer


def read(file: Path, chat: bool) -> Dataset:
    """Pairs, as conversations where the tokenizer has a template for them."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    names = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}

    def turn(row: dict[str, Any], name: str) -> Any:
        return [{"role": names[name], "content": row[name]}] if chat else row[name]

    return Dataset.from_list([{name: turn(row, name) for name in names} for row in rows])


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
        arguments = DPOConfig(
            output_dir=folder,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=8,
            per_device_eval_batch_size=8,
            learning_rate=5e-5,
            max_length=512,
            seed=options.seed,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        trainer = DPOTrainer(
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
    options.out.write_text(json.dumps({"pair_accuracy": scores["eval_rewards/accuracies"]}))


if __name__ == "__main__":
    main()
