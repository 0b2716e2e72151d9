"""The stack as processes of this machine, for machines without Docker."""
