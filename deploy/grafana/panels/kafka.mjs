import { rate } from './queries.mjs';

/** @type {import('../generate.mjs').Dashboard} */
export const kafka = {
  uid: 'ssom-kafka',
  title: 'SSOM alerts: Kafka clients',
  variables: [{ name: 'group', query: 'label_values(ssom_kafka_consumer_lag, group)' }],
  rows: [
    {
      title: 'Consumers',
      panels: [
        {
          title: 'Lag by partition (records-lag)',
          queries: [['ssom:kafka_lag:max{group=~"$group"}', '{{topic}}-{{partition}}']],
        },
        {
          title: 'Records consumed per s (records-consumed-rate)',
          queries: [
            [
              rate('ssom_kafka_consumer_records_consumed_total{group=~"$group"}', 'group, topic'),
              '{{group}} {{topic}}',
            ],
          ],
        },
        {
          title: 'Commits per s (commit-rate)',
          queries: [
            [rate('ssom_kafka_consumer_commits_total{group=~"$group"}', 'group'), '{{group}}'],
            [rate('ssom_kafka_consumer_commit_failures_total{group=~"$group"}', 'group'), '{{group}} failed'],
          ],
        },
        {
          title: 'Rebalances and replacements, in an hour',
          queries: [
            [
              'sum by (group) (increase(ssom_kafka_consumer_rebalances_total{group=~"$group"}[1h]))',
              '{{group}} rebalanced',
            ],
            ['sum by (group) (increase(ssom_kafka_consumer_replaced{group=~"$group"}[1h]))', '{{group}} replaced'],
          ],
        },
        {
          title: 'Paused',
          queries: [
            ['max by (instance, group) (ssom_kafka_consumer_paused{group=~"$group"})', '{{group}} {{instance}}'],
            [rate('ssom_kafka_consumer_pauses_total{group=~"$group"}', 'group'), '{{group}} pauses per s'],
          ],
        },
        {
          title: 'Fetched ahead',
          unit: 'bytes',
          queries: [['ssom_kafka_consumer_fetched_bytes{group=~"$group"}', '{{group}} {{instance}}']],
        },
        {
          title: 'Set aside',
          queries: [
            ['ssom_kafka_consumer_parked{group=~"$group"}', '{{group}} partitions'],
            ['ssom_triage_suspects{group=~"$group"}', '{{group}} suspects'],
          ],
        },
        {
          title: 'Lag as the broker sees it',
          queries: [
            ['max by (group, topic, partition) (ssom_kafka_group_lag{group=~"$group"})', '{{topic}}-{{partition}}'],
          ],
        },
      ],
    },
    {
      title: 'Producers',
      panels: [
        {
          title: 'Records per s (record-send-rate, record-error-rate)',
          queries: [
            [rate('ssom_kafka_producer_records_sent_total', 'role, producer'), '{{role}} {{producer}}'],
            [rate('ssom_kafka_producer_records_failed_total', 'role, producer'), '{{role}} {{producer}} failed'],
          ],
        },
        {
          title: 'Bytes of a batch (batch-size-avg)',
          unit: 'bytes',
          queries: [['ssom_kafka_producer_batch_size', '{{role}} {{producer}} {{topic}}']],
        },
        {
          title: 'Records of a batch',
          queries: [['ssom_kafka_producer_batch_records', '{{role}} {{producer}} {{topic}}']],
        },
        {
          title: 'Waiting in the producer',
          queries: [
            ['ssom_kafka_producer_queue', '{{role}} {{producer}}'],
            ['ssom_kafka_producer_records', '{{role}} {{producer}} {{state}}'],
          ],
        },
        {
          title: 'Duration of requests',
          unit: 's',
          queries: [['ssom_kafka_request_duration_seconds', '{{role}} {{client}} {{quantile}}']],
        },
      ],
    },
  ],
};
