#!/usr/bin/env bash
# Kafka's consumer group tool: list, describe (the lag), reset offsets (the group must be stopped).
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tool.sh"
kafka_tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"
