"""The grammar of configs: strict parts, positions of keys, units, messages."""
