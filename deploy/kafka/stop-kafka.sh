#!/usr/bin/env bash
# Stops Kafka and the schema registry. Their data stays; --clean removes it (never the downloads).
set -euo pipefail
case "$*" in
  '' | --clean) ;;
  *) echo "usage: stop-kafka.sh [--clean]" >&2; exit 2 ;;
esac
exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../tools/local/stack" down kafka registry "$@"
