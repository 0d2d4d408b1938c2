#!/bin/sh
# Initialize the database in $PGDATA if the folder does not exist, then start the server. The password comes from a file, so that
# it appears neither in the process list nor in the pod's environment.
set -eu

if [ ! -e "$PGDATA" ]; then
  fresh="$PGDATA.new"
  rm -rf "$fresh" # left by an interrupted start
  initdb --pgdata="$fresh" --username=airflow --pwfile=/opt/kpo-platform/password/password \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C
  echo 'host all all all scram-sha-256' >>"$fresh/pg_hba.conf"
  echo 'CREATE DATABASE airflow' | postgres --single -D "$fresh" postgres >/dev/null
  mv "$fresh" "$PGDATA"
fi

exec postgres -c listen_addresses='*' -c unix_socket_directories=''
