"""The rows of the table: kinds of work that both sides do, ours at its defaults."""

from __future__ import annotations

from dataclasses import dataclass

from speed.classifiers import GRADUAL, answered, beside, compared, few, partial, reviews, tuned
from speed.rounds import Measure, pair
from speed.writers import policies, scripted_writer, tuned_writer, with_trl


@dataclass(frozen=True)
class Row:
    """One kind of work."""

    english: str
    chinese: str
    target: float | None
    """The ratio that is aimed at, peer over ours."""
    measure: Measure
    score: str = "accuracy"
    """What the scores are."""


ROWS = {
    "full": Row("full, 3 epochs", "full，3 轮", 1.8, beside("full", "full", 3)),
    "full-grouped": Row(
        "full, 3 epochs; the script groups by length",
        "full，3 轮；脚本按长度分组",
        None,
        beside("full", "full", 3, group_by_length=True),
    ),
    "lora": Row("LoRA, 3 epochs", "LoRA，3 轮", 1.8, beside("lora", "lora", 3)),
    "lora-grouped": Row(
        "LoRA, 3 epochs; the script groups by length",
        "LoRA，3 轮；脚本按长度分组",
        None,
        beside("lora", "lora", 3, group_by_length=True),
    ),
    "adapter": Row(
        "adapter, 3 epochs (the script: LoRA)",
        "adapter，3 轮（脚本用 LoRA）",
        1.8,
        beside("adapter", "lora", 3),
    ),
    "prefix": Row("prefix, 3 epochs", "prefix，3 轮", 1.8, beside("prefix", "prefix", 3)),
    "prompt": Row("prompt, 3 epochs", "prompt，3 轮", 1.8, beside("prompt", "prompt", 3)),
    "partial2": Row(
        "partial, top 2 of 6 blocks, 5 epochs",
        "partial，顶部 2 块（共 6 块），5 轮",
        3.5,
        beside(partial(2), "partial", 5, top_blocks=2),
    ),
    "partial1": Row(
        "partial, top 1 of 6 blocks, 10 epochs",
        "partial，顶部 1 块（共 6 块），10 轮",
        6.0,
        beside(partial(1), "partial", 10, top_blocks=1),
    ),
    "head": Row(
        "the head alone, 10 epochs", "只训练头，10 轮", 20.0, beside(partial(0), "head", 10)
    ),
    "gradual": Row(
        "gradual, a block more each epoch, 6 epochs; beside it ours without the cache",
        "gradual，每轮多一块，6 轮；对方是我们自己不用缓存",
        2.0,
        pair(
            tuned(GRADUAL, 6),
            tuned(GRADUAL, 6, "training.cache_frozen_blocks=false"),
            needs=reviews,
        ),
    ),
    "comparison": Row(
        "all of these but gradual compared, 3 seeds; beside it the sum of the scripts",
        "比较以上全部（gradual 除外），3 个种子；对方是各脚本之和",
        4.0,
        compared,
    ),
    "setfit": Row(
        "64 examples, 10 epochs of full; beside it SetFit",
        "64 个样本，full 训练 10 轮；对方是 SetFit",
        None,
        few(10),
    ),
    "predict": Row("prediction, mixed lengths", "预测，长短混合", 2.0, answered),
    "sft": Row(
        "supervised fine-tuning of a language model, LoRA r 8; beside it TRL's SFTTrainer",
        "语言模型的监督微调，LoRA r 8；对方是 TRL 的 SFTTrainer",
        1.5,
        pair(
            tuned_writer("instruct_en_alpaca", "task=generation"),
            scripted_writer("trl_sft", "instruct_en_alpaca"),
            "loss",
            needs=with_trl,
        ),
        "loss a token",
    ),
    "dpo": Row(
        "DPO of a language model, LoRA r 8; beside it TRL's DPOTrainer",
        "语言模型的 DPO，LoRA r 8；对方是 TRL 的 DPOTrainer",
        None,
        pair(
            tuned_writer("pref_en_alpacaeval", "task=preference"),
            scripted_writer("trl_dpo", "pref_en_alpacaeval"),
            "pair_accuracy",
            needs=with_trl,
        ),
        "pair accuracy",
    ),
    "ppo-full": Row(
        "a PPO step, full; beside it four models",
        "PPO 一步，full；对方用四个模型",
        2.5,
        policies("full"),
        "",
    ),
    "ppo-lora": Row(
        "a PPO step, LoRA; beside it four models",
        "PPO 一步，LoRA；对方用四个模型",
        2.5,
        policies("lora"),
        "",
    ),
    "ppo-partial": Row(
        "a PPO step, top 2 of 8 blocks; beside it four models",
        "PPO 一步，顶部 2 块（共 8 块）；对方用四个模型",
        2.5,
        policies("partial"),
        "",
    ),
}
