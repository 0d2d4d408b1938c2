"""Shared code of all scripts: paths, progress, polling, commands. Python 3.11 standard library only."""
