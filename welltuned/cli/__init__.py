"""The command line: parse, call, print. `welltuned VERB [CONFIG.yaml] [key=value …]`.

Standard output carries results only; all else goes to standard error. Exit
status: 0 done, 2 the request cannot be carried out (one line per fault), 1 a
run failed, 128 + n stopped by signal n.

A verb is a function in one of these modules; nothing heavy is imported until it is called.
"""

from welltuned.cli import comparing, looking, planning, searching, training, tuning, using
from welltuned.cli.app import app, main

__all__ = [
    "app",
    "comparing",
    "looking",
    "main",
    "planning",
    "searching",
    "training",
    "tuning",
    "using",
]
