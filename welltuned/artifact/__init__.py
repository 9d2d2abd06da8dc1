"""The portable artifact: saved, loaded, verified, used, exported."""
