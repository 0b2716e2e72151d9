"""Renderers: each turns the one Report into a format and knows nothing else."""
