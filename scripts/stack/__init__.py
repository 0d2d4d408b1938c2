"""The stack on the local cluster: install it, access it, and run the sample DAG on it."""
