"""What all scripts share: paths, progress, waiting, running commands. Python 3.11 standard library only."""
