"""The benchmarks of `scripts/bench`. Their figures go to docs/benchmarks.md and decide no test."""
