"""Answers in a file: CSV, JSON lines or Parquet, written as they come, and gone on with."""
