#!/usr/bin/env bash
# Kafka and the schema registry, natively, and the service's topics. --clean: first removes their data.
set -euo pipefail
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
case "$*" in
  '' | --clean) ;;
  *) echo "usage: start-kafka.sh [--clean]" >&2; exit 2 ;;
esac
"$here/../tools/local/stack" up kafka registry "$@"
# The topics belong on the broker just started, wherever KAFKA_BOOTSTRAP_SERVERS points.
KAFKA_BOOTSTRAP_SERVERS="localhost:${KAFKA_PORT:-9092}" "$here/create-topics.sh"
cat <<'TEXT'

Kafka is KRaft: there is no ZooKeeper and nothing on 2181. Give --bootstrap-server where --zookeeper stood.
Kafdrop (9000) is not started: it is published as a container image only, not on Maven Central. Until there is a
compose file for it, kafka-topics.sh, kafka-consumer-groups.sh and kafka-console-consumer.sh show what it would.
TEXT
