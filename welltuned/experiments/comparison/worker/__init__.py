"""Worker processes: each cell, check or search of a comparison runs in its own."""
