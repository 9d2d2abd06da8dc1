"""Export: a tuned model in another format, proved against the original before it is called done."""
