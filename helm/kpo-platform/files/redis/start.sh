#!/bin/sh
# Start the broker with its data in /data. The password comes from a file and goes to the server's standard input, so that it
# appears neither in the process list, nor in the pod's environment, nor in a configuration file.
set -eu

server=$(command -v valkey-server || command -v redis-server)
exec "$server" - <<SETTINGS
requirepass $(cat /opt/kpo-platform/password/password)
dir /data
# The queue survives a restart except for the last second; Airflow queues lost tasks again.
appendonly yes
SETTINGS
