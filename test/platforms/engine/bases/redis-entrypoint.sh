#!/bin/sh
# Whatever is said on the command line; and other containers can reach it.
set -e
case ${1-} in
  '' | -*) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then set -- "$@" --protected-mode no --bind '* -::*'; fi
exec "$@"
