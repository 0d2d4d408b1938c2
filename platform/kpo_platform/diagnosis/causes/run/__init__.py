"""Pods whose containers run, but not as they should."""
