"""Tokens: texts as flat arrays of token ids, with windows, words and special tokens."""
