"""Storage: values kept for later runs, files that processes share, and data larger than memory."""
