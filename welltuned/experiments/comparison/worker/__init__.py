"""The process of a cell, and how it talks to the one that started it."""
