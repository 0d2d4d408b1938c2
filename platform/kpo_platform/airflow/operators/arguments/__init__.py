"""Operator arguments: read, checked and turned into pod fields."""
