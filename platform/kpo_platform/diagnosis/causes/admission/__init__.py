"""Pods that the API server refuses to create."""
