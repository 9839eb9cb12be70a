#!/usr/bin/env bash
# Kafka's ACL tool: list, add, remove.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool org.apache.kafka.tools.AclCommand "$@"
