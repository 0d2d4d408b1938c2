"""Fixes: what to write into the pod, or into the arguments of the task."""
