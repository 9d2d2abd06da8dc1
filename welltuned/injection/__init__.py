"""What the strategies `prompt`, `prefix` and `adapter` put into a model: PEFT methods of our own."""
