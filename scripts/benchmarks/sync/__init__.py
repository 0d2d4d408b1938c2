"""The benchmark of a synchronous task with a pod, `scripts/bench sync`: see `page` for what it measures."""
