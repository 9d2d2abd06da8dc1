"""GGUF: models as llama.cpp keeps them, read once and kept as plain folders."""
