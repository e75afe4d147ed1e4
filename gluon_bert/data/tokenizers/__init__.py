"""Tokenize with offsets, and read vocabularies in every published form."""
