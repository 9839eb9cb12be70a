#!/usr/bin/env bash
# Creates the service's topics and their dead-letter topics where they are missing; existing ones are left alone.
# KAFKA_BOOTSTRAP_SERVERS, KAFKA_REPLICATION_FACTOR, KAFKA_TOPIC_*: see README.md.
exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../tools/local/stack" topics "$@"
