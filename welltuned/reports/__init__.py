"""Reports read run folders only; they never import torch."""
