"""The gateway: the one address that the front end talks to."""
