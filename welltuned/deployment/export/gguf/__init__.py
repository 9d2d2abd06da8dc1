"""GGUF: decoders as llama.cpp and Ollama run them, in one file with tokenizer and template."""
