"""Pretrained models: loading, anatomy, pooling, and what is frozen in them."""
