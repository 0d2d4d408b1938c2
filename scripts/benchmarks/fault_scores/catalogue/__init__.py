"""The kinds of faults, a module for each family, and healthy pods."""
