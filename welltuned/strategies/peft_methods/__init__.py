"""PEFT methods of our own: the tuners behind `prompt`, `prefix` and `adapter`."""

import peft  # noqa: F401  # first: importing it registers the modules below
