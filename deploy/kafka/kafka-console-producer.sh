#!/usr/bin/env bash
# Kafka's console producer. It writes plain text, which is no Avro: never into a topic of the service, see README.md.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool org.apache.kafka.tools.ConsoleProducer "$@"
