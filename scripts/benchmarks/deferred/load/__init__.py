"""Thousands of deferred tasks in one triggerer: copies of one, with pods that kwok plays."""
