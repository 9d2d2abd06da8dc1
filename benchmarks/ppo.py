"""PPO beside the usual four models: responses per second, and memory.

The other side is written out below as people write it: a policy, a frozen copy of it as the
reference, a value model and a reward model, each a whole network of its own; answers from
`generate`; log-probabilities from full logits, of the policy, of the reference, and again of
the policy for every pass. Both sides learn from the same number of responses of one fixed
length, with the same batches, passes, losses and reward model.

What is measured is the CPU time of whole batches and the highest memory above what the process
held before it loaded the first model, all libraries imported, each side in processes of its own, in
turns, on one thread. The models are untrained, which clocks do not mind: a Llama of ten million
weights and a BERT as judge.

    python benchmarks/ppo.py --strategies full lora partial --out benchmarks/results
    python benchmarks/ppo.py --show     # the table of docs/rlhf.md from what is stored
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from welltuned.models.config import ModelConfig

ROWS, PROMPT, LENGTH, PASSES, BATCHES = 32, 12, 40, 4, 3
CLIP, VF, KL, LAM = 0.2, 0.1, 0.05, 0.95


def prompts(vocabulary: int) -> torch.Tensor:
    """Prompts of one length (rows, tokens); what they say does not matter to the clock."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(10, vocabulary, (ROWS, PROMPT), generator=generator)


# --- The usual way: four models ---------------------------------------------------


def logprobs(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Of the responses' tokens, from the logits of every position."""
    logits = model(input_ids=ids).logits[:, PROMPT - 1 : -1]
    return logits.log_softmax(-1).gather(2, ids[:, PROMPT:].unsqueeze(2)).squeeze(2)


def values(model: nn.Module, head: nn.Linear, ids: torch.Tensor) -> torch.Tensor:
    hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    return head(hidden[:, PROMPT - 1 : -1]).squeeze(-1)


def usual(folder: str, judge: str, strategy: str) -> dict[str, float]:
    """Four models, each by itself; `strategy` says what of the policy trains."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start = peak()
    policy = AutoModelForCausalLM.from_pretrained(folder)
    reference = deepcopy(policy).requires_grad_(False)
    critic, head = deepcopy(policy), nn.Linear(policy.config.hidden_size, 1)
    score = judge_of(judge)
    policy = adapted(policy, strategy)
    for model in (policy, reference, critic):
        model.eval()
    trained = [p for p in policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*trained, *critic.parameters(), *head.parameters()], lr=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = prompts(policy.config.vocab_size)
    seconds = []
    for _ in range(BATCHES + 1):
        began = time.process_time()
        with torch.no_grad():
            whole = policy.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0,
                min_new_tokens=LENGTH, max_new_tokens=LENGTH, pad_token_id=0,
            )  # fmt: skip
            old, ref = logprobs(policy, whole), logprobs(reference, whole)
            old_values = values(critic, head, whole)
            texts = tokenizer.batch_decode(whole, skip_special_tokens=True)
            rewards = -KL * (old - ref)
            rewards[:, -1] += score(texts)
            advantages, running = torch.zeros_like(rewards), torch.zeros(len(rewards))
            for t in reversed(range(LENGTH)):
                following = old_values[:, t + 1] if t + 1 < LENGTH else 0.0
                running = rewards[:, t] + following - old_values[:, t] + LAM * running
                advantages[:, t] = running
            returns = advantages + old_values
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        for _ in range(PASSES):
            optimizer.zero_grad()
            ratio = (logprobs(policy, whole) - old).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            policy_loss = torch.maximum(-advantages * ratio, -advantages * clipped).mean()
            now = values(critic, head, whole)
            near = old_values + (now - old_values).clamp(-CLIP, CLIP)
            value_loss = torch.maximum((now - returns) ** 2, (near - returns) ** 2).mean() / 2
            (policy_loss + VF * value_loss).backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        seconds.append(time.process_time() - began)
    return {"seconds": statistics.median(seconds[1:]), "bytes": peak() - start}


def adapted(model: nn.Module, strategy: str) -> Any:
    """What trains, by PEFT or by hand."""
    if strategy == "full":
        return model
    if strategy == "lora":
        from peft import LoraConfig, get_peft_model

        targets = "all-linear"
        return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=targets))
    model.requires_grad_(False)
    blocks: Any = model.model.layers  # type: ignore[union-attr]
    for block in blocks[-2:]:
        block.requires_grad_(True)
    model.model.norm.requires_grad_(True)  # type: ignore[union-attr]
    return model


def judge_of(folder: str) -> Any:
    """A sequence classifier by transformers' own means."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval().requires_grad_(False)

    def score(texts: list[str]) -> torch.Tensor:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch).logits
        return logits[:, -1] - logits[:, 0]

    return score


# --- Ours: one backbone -----------------------------------------------------------


def ours(folder: str, judge: str, strategy: str) -> dict[str, float]:
    """The same through `welltuned.rlhf`."""
    from unittest.mock import patch

    from welltuned.rlhf.actors.generator import GeneratorActor
    from welltuned.rlhf.algorithms.ppo import Ppo
    from welltuned.rlhf.learner import Learner, step
    from welltuned.rlhf.prompts import Prompts
    from welltuned.rlhf.rewards import JudgeSource
    from welltuned.rlhf.rewards.build import build_reward
    from welltuned.rlhf.weight_sharing import share_weights

    start = peak()
    policy = policy_of(folder, strategy)
    score = build_reward(
        JudgeSource(model=ModelConfig(name=judge), label="LABEL_1"), None, torch.device("cpu")
    )
    share_weights(policy.model, [score.model])
    config = Ppo(
        total_episodes=ROWS * (BATCHES + 1), max_kl=1e9, eval_steps=1,
        learning_rate=1e-5, batch_size=ROWS, num_ppo_epochs=PASSES, rollout_batch_size=ROWS,
        per_device_train_batch_size=ROWS, kl_coef=KL, lam=LAM, vf_coef=VF,
    )  # fmt: skip
    learner = Learner.of(GeneratorActor(policy, 1.0, ROWS, LENGTH), config, BATCHES + 1)
    ids = prompts(policy.model.config.vocab_size).tolist()
    asked = Prompts(ids, [policy.tokenizer.decode(row) for row in ids])
    seconds = []
    # Responses of one length on both sides: no token is an end.
    with patch("welltuned.tasks.chat.stop_ids", return_value=[-1]):
        for _ in range(BATCHES + 1):
            began = time.process_time()
            rollout = learner.rollout(asked)
            assert bool(rollout.mask_BT.all()) and rollout.mask_BT.shape == (ROWS, LENGTH)
            step(learner, rollout, score(rollout.prompts, rollout.responses))
            seconds.append(time.process_time() - began)
    return {"seconds": statistics.median(seconds[1:]), "bytes": peak() - start}


def policy_of(folder: str, strategy: str) -> Any:
    """A policy from a bare model folder, as `sft: skip` makes it."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from welltuned.artifact.manifest import ArtifactManifest, Origin
    from welltuned.models.anatomy import examine_anatomy
    from welltuned.models.config import ModelConfig
    from welltuned.models.loading import Head, build_skeleton, read_tokenizer
    from welltuned.rlhf.policy import Policy, reference_policy_of
    from welltuned.strategies import Context, Full, Lora, Partial
    from welltuned.tasks import Generation, GenerationProblem

    chosen: Any = {"full": Full(), "lora": Lora(r=8), "partial": Partial(num_blocks=2)}[strategy]
    named, head = (
        ModelConfig(name=folder),
        Head(AutoModelForCausalLM, AutoConfig.from_pretrained(folder), False),
    )
    anatomy, tokenizer = examine_anatomy(build_skeleton(head), False), read_tokenizer(named)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model = chosen.prepare(model, Context(anatomy, tokenizer, folder, "CAUSAL_LM", 0, []))
    problem = GenerationProblem(Generation(), "plain")
    manifest = ArtifactManifest(problem, chosen, named, Origin("", ()), 256, "fp32")
    reference = reference_policy_of(model, chosen, anatomy, goes_on=False)
    return Policy(model, reference, tokenizer, head, anatomy, manifest)


# --- Measuring --------------------------------------------------------------------


def peak() -> int:
    """The most memory this process ever held, in bytes."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def make_models(folder: Path) -> tuple[str, str]:
    """Folders of the generator and of the judge, in the form that both sides read."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[EOS]": 2} | {f"w{i}": i for i in range(3, 8000)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]",
        model_max_length=256,
    )  # fmt: skip
    writer = LlamaConfig(
        vocab_size=8000, hidden_size=256, intermediate_size=704, num_hidden_layers=8,
        num_attention_heads=8, max_position_embeddings=256, pad_token_id=0, eos_token_id=2,
        bos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    judge = BertConfig(
        vocab_size=8000, hidden_size=128, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=4, max_position_embeddings=256,
    )  # fmt: skip
    for name, model in (
        ("writer", LlamaForCausalLM(writer)),
        ("judge", BertForSequenceClassification(judge)),
    ):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return str(folder / "writer"), str(folder / "judge")


def measure(side: str, *arguments: str) -> dict[str, float]:
    """One side in this process, which then has imported what either needs."""
    import peft  # noqa: F401

    import welltuned.rlhf.api  # noqa: F401

    torch.set_num_threads(1)
    return {"usual": usual, "ours": ours}[side](*arguments)


def in_a_process(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(writer: str, judge: str, strategy: str, rounds: int) -> dict[str, Any]:
    """Medians of several rounds, and the ratios."""
    found: dict[str, list[dict[str, float]]] = {"usual": [], "ours": []}
    for _ in range(rounds):
        for side, measured in found.items():
            measured.append(in_a_process(side, writer, judge, strategy))
    row: dict[str, Any] = {
        side: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for side, measured in found.items()
    }
    for side in found:
        row[side]["responses_per_second"] = ROWS / row[side]["seconds"]
    row["times_as_fast"] = row["usual"]["seconds"] / row["ours"]["seconds"]
    row["times_the_memory"] = row["ours"]["bytes"] / row["usual"]["bytes"]
    return row


def told(strategy: str, row: dict[str, Any]) -> str:
    """Both sides on a line."""
    sides = ", ".join(
        f"{side} {row[side]['responses_per_second']:.2f} responses/s "
        f"and {row[side]['bytes'] / 2**20:.0f} MiB"
        for side in ("usual", "ours")
    )
    faster, memory = row["times_as_fast"], row["times_the_memory"]
    return f"{strategy:8} {sides}: {faster:.2f} times as fast, {memory:.2f} of the memory"


def as_markdown(table: dict[str, dict[str, Any]]) -> str:
    """A row a strategy: answers per CPU second of both sides, and the ratios."""
    rows = (
        (
            f"`{strategy}`",
            *(f"{row[side]['responses_per_second']:.2f}" for side in ("usual", "ours")),
            *(f"{row[ratio]:.2f}" for ratio in ("times_as_fast", "times_the_memory")),
        )
        for strategy, row in table.items()
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategies", nargs="+", default=["full", "lora", "partial"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--show", action="store_true", help="print what is stored as a table")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*json.loads(options.measure))))
        return
    if options.show:
        print(as_markdown(json.loads((options.out / "ppo.json").read_text(encoding="utf-8"))))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        writer, judge = make_models(Path(folder))
        for strategy in options.strategies:
            row = table[strategy] = compare(writer, judge, strategy, options.rounds)
            print(told(strategy, row), flush=True)
            file = options.out / "ppo.json"
            file.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
