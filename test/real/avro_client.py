"""A reader and a writer of our topics that are none of ours: Confluent's Python client, and fastavro.

    avro_client.py read REGISTRY BOOTSTRAP TOPIC COUNT
        Prints COUNT records from the topic's beginning, a JSON object a line. Each is decoded twice, by
        AvroDeserializer and by fastavro with the schema that the registry has for it, and both must say the same.

    avro_client.py write REGISTRY BOOTSTRAP TOPIC STRATEGY < {"schema": …, "records": [{"key": …, "value": …}]}
        Writes them by AvroSerializer, which registers the schema: for the topic (STRATEGY topic), or for the record's
        full name (STRATEGY record), as other teams have it.
"""

import io
import json
import sys
import time

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TIMEOUT_S = 60


def read(registry, bootstrap, topic, count):
    deserialize = AvroDeserializer(registry)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "avro-client", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    deadline = time.monotonic() + TIMEOUT_S
    left = int(count)
    while left > 0:
        if time.monotonic() > deadline:
            sys.exit(f"{left} records of {topic} did not come within {TIMEOUT_S} s")
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        data = message.value()
        value = deserialize(data, SerializationContext(topic, MessageField.VALUE))
        schema = registry.get_schema(int.from_bytes(data[1:5], "big"))
        parsed = fastavro.parse_schema(json.loads(schema.schema_str))
        again = fastavro.schemaless_reader(io.BytesIO(data[5:]), parsed, None)
        if value != again:
            sys.exit(f"AvroDeserializer reads {value}, fastavro {again}")
        print(json.dumps({"key": message.key().decode(), "value": value}), flush=True)
        left -= 1
    consumer.close()


def write(registry, bootstrap, topic, strategy):
    given = json.load(sys.stdin)
    strategies = {"topic": topic_subject_name_strategy, "record": record_subject_name_strategy}
    conf = {"auto.register.schemas": True, "subject.name.strategy": strategies[strategy]}
    serialize = AvroSerializer(registry, json.dumps(given["schema"]), conf=conf)
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    failures = []
    for record in given["records"]:
        value = serialize(record["value"], SerializationContext(topic, MessageField.VALUE))
        producer.produce(topic, key=record["key"], value=value, on_delivery=lambda error, _: error and failures.append(error))
    if producer.flush(TIMEOUT_S) > 0 or failures:
        sys.exit(f"not everything was written: {failures}")


def main(command, url, *arguments):
    commands = {"read": read, "write": write}
    commands[command](SchemaRegistryClient({"url": url}), *arguments)


main(*sys.argv[1:])
