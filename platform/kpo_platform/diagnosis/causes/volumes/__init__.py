"""Volumes that do not exist, have no storage or cannot be mounted."""
