"""A server of models over HTTP, behind the interfaces that clients already speak."""
