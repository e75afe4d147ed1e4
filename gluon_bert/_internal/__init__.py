"""Helpers that the whole package shares; nothing here is public."""
