"""Contexts with choices: read from files, and batched so that no example is divided."""
