"""HTML reports, made from run folders alone and without torch."""
