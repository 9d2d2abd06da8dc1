"""The command line: parse, call, print. `welltuned VERB [CONFIG.yaml] [key=value …]`.

Standard output carries results only; all else goes to standard error. Exit
status: 0 done, 2 the request cannot be carried out (one line per fault), 1 a
run failed, 128 + n stopped by signal n.

A verb is a function in the module of its name; nothing heavy is imported until it is called.
"""

from welltuned.cli.app import app, main

# isort: off
# In the order in which `welltuned --help` lists them.
from welltuned.cli import train, resume, compare, demo
from welltuned.cli import data, probe, plan, tune, sweep
from welltuned.cli import predict, chat, evaluate, export, serve, push
from welltuned.cli import runs, report, doctor
from welltuned.cli import init, migrate, help, completion
# isort: on

__all__ = [
    "app", "chat", "compare", "completion", "data", "demo", "doctor", "evaluate", "export", "help",
    "init", "main", "migrate", "plan", "predict", "probe", "push", "report", "resume", "runs",
    "serve", "sweep", "train", "tune",
]  # fmt: skip
