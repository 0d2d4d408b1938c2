"""What `scripts/test` runs: parts that need no cluster, and named groups of cluster tests."""
