"""The formats that there are, by name."""

from __future__ import annotations

from welltuned.deployment.export.base import ExportFormat
from welltuned.deployment.export.gguf.format import GgufFormat
from welltuned.deployment.export.onnx_format import OnnxFormat
from welltuned.deployment.export.openvino_format import OpenVinoFormat
from welltuned.deployment.export.plain import PlainFormat
from welltuned.deployment.export.sentence_encoder import SentenceTransformersFormat
from welltuned.errors import Fault, InputError

EXPORT_FORMATS: dict[str, ExportFormat] = {
    one.name: one
    for one in (
        OnnxFormat(),
        OpenVinoFormat(),
        GgufFormat(),
        SentenceTransformersFormat(),
        PlainFormat(),
    )
}
"""Every format, by what `to=` calls it."""


def export_format(name: str) -> ExportFormat:
    """A format by its name. Raises `InputError`."""
    if name not in EXPORT_FORMATS:
        raise InputError(
            Fault(
                "export.format_unknown",
                "there is no format '{name}' to export to",
                None,
                "choose {known}; the folder is another key, out=FOLDER",
                name=name,
                known=", ".join(EXPORT_FORMATS),
            )
        )
    return EXPORT_FORMATS[name]
