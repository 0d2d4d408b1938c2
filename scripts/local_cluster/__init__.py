"""A disposable Kubernetes cluster on this machine: one node of upstream components in a network namespace of its own.

The cluster is not durable: after a reboot or a kill of its processes, `up` starts an EMPTY cluster. Only the built
programs and the imported images are kept.
"""
