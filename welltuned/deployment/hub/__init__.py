"""Publishing a tuned model on the Hub: its card, what leaves the machine, and the way there."""
