"""The road from a bare machine to a finished DAG run; `scripts/quickstart` walks it, the tests begin at its end."""
