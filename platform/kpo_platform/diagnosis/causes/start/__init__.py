"""Containers that cannot start on their node."""
