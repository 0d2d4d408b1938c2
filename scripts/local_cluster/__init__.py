"""A throw-away Kubernetes on this machine: one node of real upstream parts in a network namespace of its own.

Nothing in it is meant to last: a cluster whose processes are gone (a restart of the machine, a kill) comes up
again EMPTY. Only the toolchain and the imported images are kept, to save time.
"""
