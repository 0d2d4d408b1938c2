"""Rules for pods: why a pod is refused."""
