"""What tasks ask of a family of two stacks, an encoder and a decoder, before they take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def require_one_stack(base: PreTrainedConfig, why: str) -> None:
    """Raise `InputError` with the reason where a task cannot tune an encoder-decoder."""
    from welltuned.models.anatomy import is_encoder_decoder

    if is_encoder_decoder(base):
        raise InputError(
            Fault(
                "task.encoder_decoder_unsupported",
                "'{family}' is an encoder-decoder, which this task cannot tune: {why}",
                None,
                "use an encoder such as BERT or a decoder such as Llama",
                family=base.model_type,
                why=why,
            )
        )


def require_head_for_labels(base: PreTrainedConfig, pooling: str) -> None:
    """Raise `InputError` where an encoder-decoder cannot have the head that classifies texts."""
    from welltuned.models.anatomy import is_encoder_decoder
    from welltuned.models.compat.transformers_api import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    if not is_encoder_decoder(base):
        return
    if type(base) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise InputError(
            Fault(
                "task.sequence_classification_unsupported",
                "transformers has no head for labels for the encoder-decoder '{family}'",
                None,
                "use T5, mT5, BART or mBART, or an encoder such as BERT",
                family=base.model_type,
            )
        )
    if pooling != "model":
        raise InputError(
            Fault(
                "task.pooling_of_two_stacks",
                "'task.pooling: {pooling}' does not support '{family}': an encoder-decoder has two "
                "sets of states of a text, and only its own head knows which to read",
                None,
                "set task.pooling=model",
                pooling=pooling,
                family=base.model_type,
            )
        )


def require_seq2seq(base: PreTrainedConfig) -> None:
    """Raise `InputError` where transformers cannot teach an encoder-decoder to write."""
    from transformers import AutoModelForSeq2SeqLM

    from welltuned.models.compat.transformers_api import (
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        model_class,
    )
    from welltuned.models.encoder_decoder import SHIFT

    has_head = type(base) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    if not has_head or not hasattr(model_class(AutoModelForSeq2SeqLM, base), SHIFT):
        raise InputError(
            Fault(
                "task.seq2seq_unsupported",
                "transformers does not say what the decoder of '{family}' is given while a "
                "response is learned",
                None,
                "use a model such as T5, mT5, BART, mBART, Pegasus or Marian",
                family=base.model_type,
            )
        )
