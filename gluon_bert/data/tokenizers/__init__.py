"""Tokenizers with offsets, and their vocabularies in every published form."""
