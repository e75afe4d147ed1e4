"""Queries with documents: read from tables and lists, and batched so that lists stay whole."""
