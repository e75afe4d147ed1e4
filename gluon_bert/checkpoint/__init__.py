"""Readers and writers of checkpoint files, and the names they use."""
