# Sourced by the kafka-*.sh beside it, not run: `kafka_tool CLASS ARGUMENTS` runs one of Kafka's own tools on the jars
# that the broker runs on (fetched if they are not there yet).
set -euo pipefail
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

# KRaft replaced ZooKeeper: says so, and repeats the command as it is typed today.
refuse_zookeeper() {
  local name="$1" argument skip=no asked=no rest=()
  shift
  for argument in "$@"; do
    if [[ $skip == yes ]]; then skip=no; continue; fi
    case "$argument" in
      --zookeeper) asked=yes; skip=yes ;;
      --zookeeper=*) asked=yes ;;
      *) rest+=("$argument") ;;
    esac
  done
  if [[ $asked == yes ]]; then
    echo "There is no ZooKeeper (2181) any more: KRaft, inside the broker, replaced it. Type: $name ${rest[*]} --bootstrap-server ${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}" >&2
    exit 2
  fi
}

kafka_tool() {
  local class="$1" libs java=java
  shift
  refuse_zookeeper "$0" "$@"
  # Typed in a hurry, and named in alarms, without it.
  if [[ " $* " != *" --bootstrap-"* && " $* " != *" --help "* && " $* " != *" --version "* ]]; then
    set -- --bootstrap-server "${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}" "$@"
  fi
  libs="$("$here/../tools/local/stack" fetch kafka)"
  if [[ -n "${JAVA_HOME:-}" ]]; then java="$JAVA_HOME/bin/java"; fi
  if ! command -v "$java" >/dev/null; then
    echo "$java was not found. Kafka's tools need Java 17 or newer: apt-get install -y openjdk-17-jre-headless" >&2
    exit 1
  fi
  # The three variables mean what they mean to Kafka's own scripts. Without them: a tool lives for a second, and so
  # starts fastest with the serial collector and the first compiler tier (0.7 s a call).
  # shellcheck disable=SC2086 # they hold several words
  exec "$java" ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1} \
    "-Dlog4j2.configurationFile=$here/../tools/local/log4j2-tools.properties" ${KAFKA_OPTS:-} -cp "$libs/*" "$class" "$@"
}
