#!/bin/bash
# The first time: a cluster with POSTGRES_USER as superuser, POSTGRES_PASSWORD, POSTGRES_DB, and what lies in
# /docker-entrypoint-initdb.d.
set -euo pipefail

if [[ ${1:-postgres} == -* ]]; then set -- postgres "$@"; fi
if [[ $1 == postgres && ! -s $PGDATA/PG_VERSION ]]; then
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  if [[ -z ${POSTGRES_PASSWORD:-} ]]; then
    echo 'POSTGRES_PASSWORD is not set: a superuser without a password is refused' >&2
    exit 1
  fi
  initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl -w -o "-c listen_addresses=''" start
  if [[ $database != postgres ]]; then createdb --username="$user" "$database"; fi
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) bash "$file" ;;
      *.sql) psql -v ON_ERROR_STOP=1 --username="$user" --dbname="$database" --file="$file" ;;
    esac
  done
  pg_ctl -m fast -w stop
fi
if [[ $1 == postgres ]]; then
  shift
  set -- postgres -c listen_addresses='*' "$@"
fi
exec "$@"
