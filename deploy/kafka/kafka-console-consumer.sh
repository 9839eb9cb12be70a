#!/usr/bin/env bash
# Kafka's console consumer. The service's records are Avro behind a 5-byte header: README.md says how to read them.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool org.apache.kafka.tools.consumer.ConsoleConsumer "$@"
