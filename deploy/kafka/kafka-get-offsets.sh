#!/usr/bin/env bash
# Kafka's offsets tool: the first and last offset of each partition.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool org.apache.kafka.tools.GetOffsetShell "$@"
