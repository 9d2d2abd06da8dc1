"""Private and undocumented names of other libraries: all that we use, each with a test.

Every private or undocumented name of torch, transformers, PEFT and sacrebleu stands in one of
these modules under a name of ours; `tests/models/compat` fails on the day an upstream release
changes one of them, and names it. The rest of the package knows only what is documented.
"""

AUTO_MODELS = "transformers.models.auto.modeling_auto"
"""The module of transformers whose import makes the auto classes known."""
MODEL_INDEX = "transformers.utils.import_utils"
"""The module of transformers that makes the index of its models' modules."""
