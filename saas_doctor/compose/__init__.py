"""The Compose file: read into nodes with their places, merged as Compose does, and asked."""
