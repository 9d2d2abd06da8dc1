"""Entry point of `python -m welltuned.cli`, which is how `torchrun` starts it."""

from welltuned.cli import main

main()
