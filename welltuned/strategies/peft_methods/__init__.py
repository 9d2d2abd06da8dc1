"""PEFT methods of our own: what `prompt`, `prefix` and `adapter` put into a model."""

import peft  # noqa: F401  # first: importing it registers the modules below
