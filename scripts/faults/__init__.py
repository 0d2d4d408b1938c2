"""Faults for tests and benchmarks: a proxy in front of the API server, an API server that stops, killed tasks."""
