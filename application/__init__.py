"""The applications: what users ask, what the book decides, and what can be read of it."""
