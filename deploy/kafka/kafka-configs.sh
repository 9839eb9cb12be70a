#!/usr/bin/env bash
# Kafka's settings tool: of topics, brokers, users.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool kafka.admin.ConfigCommand "$@"
