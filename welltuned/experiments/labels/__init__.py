"""Labels: which of them are probably wrong, and which texts to label next."""
