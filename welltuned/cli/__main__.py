"""`python -m welltuned.cli`, as `torchrun` starts it."""

from welltuned.cli import main

main()
