"""The core service: users."""
