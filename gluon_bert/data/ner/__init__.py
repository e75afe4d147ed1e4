"""Entities: tagged files, schemes of tags, windows of long sentences."""
