"""Terminal output: tables, progress and live views."""
