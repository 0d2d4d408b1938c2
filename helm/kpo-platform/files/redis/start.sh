#!/bin/sh
# Serve the broker from the folder /data. The password comes from a file and goes to the server over its standard input,
# so that it appears neither in the process list, nor in the pod's environment, nor in a file of settings.
set -eu

server=$(command -v valkey-server || command -v redis-server)
exec "$server" - <<SETTINGS
requirepass $(cat /opt/kpo-platform/password/password)
dir /data
# What is queued outlives a restart: at most the last second is lost, and Airflow hands out again what got lost.
appendonly yes
SETTINGS
