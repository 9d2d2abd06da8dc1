"""Prompt tuning: learned vectors before the text, or after its first token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.schema.field_types import GoesWith
from welltuned.schema.part import conflict
from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, InjectedStrategy, modules_to_save

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from welltuned.strategies.peft_methods.prompt import PromptConfig


class Prompt(InjectedStrategy):
    """`num_virtual_tokens` learned vectors join the text; only they and the head train."""

    needs_import: ClassVar[bool] = True
    starts_unchanged: ClassVar[bool] = False
    merge_refusal: ClassVar[str | None] = "its vectors are inputs, not changes of weights"
    rl_learning_rate: ClassVar[float | None] = 1e-3

    type: Literal["prompt"] = "prompt"
    num_virtual_tokens: Annotated[int, Range(5, 100, log=True)] = Field(default=20, ge=1)
    """Prompt length: learned vectors, which take this many of the model's input positions."""
    prompt_tuning_init: Literal["VOCAB", "TEXT", "RANDOM"] = Field(
        default="VOCAB", examples=["RANDOM"]
    )
    """Initialise from embeddings of frequent words, of a given text, or with noise of the same
    spread."""
    prompt_tuning_init_text: Annotated[str | None, GoesWith("prompt_tuning_init", "TEXT")] = Field(
        default=None, examples=["The review is positive:"]
    )
    """For TEXT: the text, repeated or cut to length."""
    position: Literal["auto", "front", "after_first"] = "auto"
    """auto: after the first token for encoders, whose heads read index 0; in front for decoders."""

    @model_validator(mode="after")
    def _text_belongs_to_text(self) -> Prompt:
        if (self.prompt_tuning_init == "TEXT") != (self.prompt_tuning_init_text is not None):
            raise conflict(
                "strategy.init_text_without_init",
                "'strategy.prompt_tuning_init_text' and 'prompt_tuning_init: TEXT' require each "
                "other",
                "give both or neither",
            )
        return self

    @property
    def input_positions(self) -> int:
        return self.num_virtual_tokens

    def peft_config(self, context: Context) -> PromptConfig:
        from welltuned.strategies.peft_methods.prompt import PromptConfig

        after_first = self.position == "after_first" or (
            self.position == "auto" and context.anatomy.kind == "encoder"
        )
        return PromptConfig(
            task_type=context.task_type,
            target_modules=context.anatomy.reading.trunk,
            modules_to_save=modules_to_save(context.anatomy),
            num_virtual_tokens=self.num_virtual_tokens,
            position=int(after_first),
        )

    def initialise(self, model: PeftModel, context: Context) -> None:
        import torch

        inner: Any = model.base_model.model
        trunk = inner.get_submodule(context.anatomy.reading.trunk)
        # Called, not looked up in its table: Gemma's embeddings are scaled on the way out.
        words = trunk.base_layer.get_input_embeddings()
        prompt_PE = trunk.prompt_parts["default"].embeddings
        generator = torch.Generator().manual_seed(context.seed)
        with torch.no_grad():
            if self.prompt_tuning_init == "RANDOM":
                every = torch.arange(len(words.weight), device=words.weight.device)
                words_VE = words(every).float()
                noise = torch.randn(prompt_PE.shape, generator=generator).to(words_VE.device)
                prompt_PE.copy_(words_VE.mean(0) + noise * words_VE.std(0))
            else:
                ids = self._first_words(context, generator)
                prompt_PE.copy_(words(torch.tensor(ids, device=words.weight.device)))

    def _first_words(self, context: Context, generator: torch.Generator) -> list[int]:
        """P token ids: of the given text, or drawn from the training texts' own words."""
        import torch

        length = self.num_virtual_tokens
        special = set(context.tokenizer.all_special_ids)
        if self.prompt_tuning_init_text is not None:
            ids = context.tokenizer(self.prompt_tuning_init_text, add_special_tokens=False)[
                "input_ids"
            ]
        else:
            pool = sorted({token for example in context.examples for token in example} - special)
            order = torch.randperm(len(pool), generator=generator).tolist()
            ids = [pool[i] for i in order[:length]]
        ids = ids or [context.tokenizer.unk_token_id or 0]
        return (ids * (length // len(ids) + 1))[:length]
