"""Pods that find no node."""
