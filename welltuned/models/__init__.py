"""Pretrained models: loading, anatomy, pooling and freezing."""
