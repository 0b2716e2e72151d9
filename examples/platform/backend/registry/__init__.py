"""The registry: who is there, and where."""
