"""The benchmark of deferred tasks: `scripts/bench deferred`."""
