"""Training engines: the plain PyTorch loop and the Hugging Face `Trainer`, with equal results.

Both engines share optimizer groups, schedule, batches, validation and events.
"""
