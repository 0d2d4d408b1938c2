"""The stages of `scripts/test` that need no cluster, and the groups of cluster tests."""
