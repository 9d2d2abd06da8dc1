"""The config of a pretrained model: where it is, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from welltuned.models.gguf.converted import converted_folder, gguf_digest
from welltuned.models.gguf.sources import find_gguf
from welltuned.models.locations import locate
from welltuned.models.template_options import TemplateOption
from welltuned.schema.import_path import RunsCode
from welltuned.schema.part import Part

Quantization = Literal["nf4", "int8"]
"""How many bits, and of which kind."""


class ModelConfig(Part):
    """The pretrained model (base model) to start from."""

    shorthand: ClassVar[str | None] = "name"

    name: str = Field(examples=["microsoft/deberta-v3-small"])
    """A folder, a GGUF file, a finished run to go on from, a hub name such as
    `microsoft/graphcodebert-base`, or `package:NAME` for a model inside an installed package."""
    gguf_file: str | None = Field(default=None, examples=["SmolLM2-135M-Instruct-Q8_0.gguf"])
    """Which GGUF file of the folder or hub name is the model, where there are several."""
    revision: str | None = Field(default=None, examples=["main"])
    """The branch, tag or commit on the hub."""
    trust_remote_code: Annotated[bool, RunsCode()] = False
    """Run Python code that comes with the model. Only for sources you trust."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The precision of frozen weights. Trainable weights are always float32."""
    quantization: Quantization | None = Field(default=None, examples=["nf4"])
    """Hold the linear layers of the blocks, which stay frozen, in four or eight bits. Embeddings,
    norms and heads stay in `dtype`."""
    special_tokens_in_text: Literal["text", "tokens"] = "text"
    """How special tokens that are written in texts, such as `</s>`, are read: as plain text, or
    as the tokens themselves."""
    template_options: dict[str, TemplateOption] = Field(
        default_factory=dict, examples=[{"enable_thinking": False}]
    )
    """What the chat template is told wherever it is used, such as `{enable_thinking: false}` or
    `{date_string: 26 Jul 2024}`. They become defaults of the template that is saved with the tuned
    model, so that every library writes prompts as they were learned."""
    resize_embeddings: bool = False
    """Add embeddings for tokens of the tokenizer that the model has none for. Each starts as the
    mean of the others."""

    @property
    def title(self) -> str:
        """The name, and what is set besides: `org/model revision=v2`."""
        options = self.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
        return " ".join([self.name, *(f"{key}={value}" for key, value in options.items())])

    @property
    def location(self) -> str:
        """A local folder, or the hub name as given; of a run, its model folder; of a GGUF file,
        that of its model, converted at first. Raises `InputError` for a package that is not
        installed, a run without a finished model, and a GGUF file that cannot be read."""
        file = self.gguf
        return locate(self.name) if file is None else str(converted_folder(file))

    @property
    def gguf(self) -> Path | None:
        """The GGUF file that it is read from, if any. Raises `InputError`."""
        return find_gguf(self.name, self.gguf_file, self.revision)

    @property
    def gguf_sha256(self) -> str | None:
        """The hash of that file."""
        file = self.gguf
        return None if file is None else gguf_digest(file)

    @property
    def source(self) -> dict[str, object]:
        """Keyword arguments for the `from_pretrained` family."""
        return {"revision": self.revision, "trust_remote_code": self.trust_remote_code}
