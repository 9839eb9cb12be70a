#!/usr/bin/env bash
# Kafka's topic tool: list, describe, create, alter, delete.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool org.apache.kafka.tools.TopicCommand "$@"
