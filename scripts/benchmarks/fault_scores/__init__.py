"""Inject faults into pods on the local cluster, and score what the diagnosis and the operators say about them."""
