"""What `scripts/bench` measures. Figures go to docs/benchmarks.md and never decide whether a test passes."""
