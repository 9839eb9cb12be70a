#!/usr/bin/env bash
# Gives each role the rights that it needs in Kafka, and no others; what is there already stays. Takes the options of
# `ssom-alert kafka acls`. KAFKA_BOOTSTRAP_SERVERS, KAFKA_COMMAND_CONFIG: see README.md.
#   --prune        instead: shows the rights that these principals have and do not need
#   --prune --yes  removes them
set -euo pipefail
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
prune=no yes=no options=()
for option in "$@"; do
  case "$option" in
    --prune) prune=yes ;;
    --yes) yes=yes ;;
    *) options+=("$option") ;;
  esac
done
if [[ $yes == yes && $prune == no ]]; then
  echo "--yes is for --prune alone: rights are given without it" >&2
  exit 2
fi
cluster=(--bootstrap-server "${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}")
if [[ -n "${KAFKA_COMMAND_CONFIG:-}" ]]; then cluster=(--command-config "$KAFKA_COMMAND_CONFIG" "${cluster[@]}"); fi
acls() { node "$here/../tools/setup/ssom-alert.mjs" kafka acls ${options[@]+"${options[@]}"} "$@"; }
# Four at a time: each is a JVM, which takes a second to start. A line is the words of one command.
run() { xargs -P 4 -L 1 "$here/kafka-acls.sh" "${cluster[@]}" >/dev/null; }
shown() { sed 's/^--\(add\|remove --force\) /  /; s/--allow-principal //; s/--operation //g; s/--//g'; }

if [[ $prune == no ]]; then
  grants="$(acls)"
  [[ "$grants" == --add* ]] || { echo "$grants"; exit 0; }
  run <<<"$grants"
  echo "$(wc -l <<<"$grants") grants are there:"
  shown <<<"$grants"
  exit 0
fi
surplus="$("$here/kafka-acls.sh" "${cluster[@]}" --list | acls --surplus-in -)"
[[ "$surplus" == --remove* ]] || { echo "${surplus:-Nobody has rights that are not needed.}"; exit 0; }
if [[ $yes == yes ]]; then
  run <<<"$surplus"
  echo "Removed:"
else
  echo "Not needed, and removed by --prune --yes:"
fi
shown <<<"$surplus"
