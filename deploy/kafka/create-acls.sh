#!/usr/bin/env bash
# Gives each role the rights that it needs in Kafka, and no others; what is there already stays. Takes the options of
# `ssom-alert kafka acls`. KAFKA_BOOTSTRAP_SERVERS, KAFKA_COMMAND_CONFIG: see README.md.
set -euo pipefail
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
acls="$(node "$here/../tools/setup/ssom-alert.mjs" kafka acls "$@")"
[[ "$acls" == --add* ]] || { echo "$acls"; exit 0; }
config=()
if [[ -n "${KAFKA_COMMAND_CONFIG:-}" ]]; then config=(--command-config "$KAFKA_COMMAND_CONFIG"); fi
# Four at a time: each is a JVM, which takes a second to start. A line is the words of one command.
xargs -P 4 -L 1 "$here/kafka-acls.sh" "${config[@]}" --bootstrap-server "${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}" \
  >/dev/null <<<"$acls"
echo "$(wc -l <<<"$acls") grants are there:"
sed 's/^--add --allow-principal /  /; s/--operation //g; s/--//g' <<<"$acls"
