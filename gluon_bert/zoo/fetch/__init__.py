"""Fetch, verify and cache the files of a row."""
