"""Layouts: the columns of chats, preferences, thumbs and pairs, and one shape for each."""
