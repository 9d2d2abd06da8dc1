"""Configs of other libraries carried over, key by key: LLaMA-Factory, TRL and axolotl."""
