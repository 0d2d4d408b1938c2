"""Create and update registry secrets, volume claims and Airflow connections.

One run reads the live state (`read_state`), compares it with the contract (`plan`), dry-runs the writes on the API
server, applies them through ansible-runner (`ansible`) and reads everything back (`verify`). A run can be repeated at
any time. `plan` and `verify` have no side effects. Secret values are never printed and never
written to a file.
"""
