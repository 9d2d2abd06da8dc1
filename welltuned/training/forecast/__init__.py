"""Resource forecast of a run before any weight is loaded: memory, time and disk."""
