"""What holds secrets or data: the registry secrets, the volume claims, the Airflow connection.

One run reads the live state (``state``), compares it with the contract (``plan``), lets the API server
rehearse the writes and does them through ansible-runner (``apply``), reads everything back (``verify``), and can
be repeated at any time. ``plan`` and ``verify`` are pure; a secret value is never printed and leaves the memory
of the processes of one run only for the Secret that it is for.
"""
