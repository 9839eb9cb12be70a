import { CREATE, JOB, quantiles, rate } from './queries.mjs';

/** @type {import('../generate.mjs').Dashboard} */
export const overview = {
  uid: 'ssom-overview',
  title: 'SSOM alerts: overview',
  variables: [],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Alarms that wake somebody',
          stat: true,
          queries: [['count(ALERTS{alertstate="firing", severity="critical"}) or vector(0)', '']],
        },
        { title: 'Created per s', stat: true, queries: [['ssom:alerts_created:rate5m', '']] },
        { title: 'Into inboxes per s', stat: true, queries: [['ssom:deliveries:rate5m', '']] },
        { title: 'To streams per s', stat: true, queries: [['ssom:stream_changes:rate5m', '']] },
        { title: 'Pushed per s', stat: true, queries: [['ssom:push_messages:rate5m{result="sent"}', '']] },
        { title: 'Streams open', stat: true, queries: [['sum(ssom_stream_open)', '']] },
      ],
    },
    {
      title: 'The way of an alert: latency from CreateAlert',
      panels: [
        {
          title: 'CreateAlert answers',
          unit: 's',
          queries: quantiles(`rpc_server_call_duration{${JOB}, ${CREATE}}`),
        },
        {
          title: '… in the inbox',
          unit: 's',
          exemplars: true,
          queries: quantiles('ssom_alert_create_to_inbox_seconds'),
        },
        {
          title: '… on the stream',
          unit: 's',
          exemplars: true,
          queries: quantiles('ssom_alert_create_to_stream_seconds'),
        },
        {
          title: '… accepted by FCM',
          unit: 's',
          exemplars: true,
          queries: quantiles('ssom_alert_create_to_push_seconds'),
        },
      ],
    },
    {
      title: 'Where alerts are now',
      panels: [
        {
          title: 'Waiting, by place',
          stack: true,
          about:
            'Alerts in the outbox, records of each topic that its group has not committed, and pushes that are due.',
          queries: [
            ['max(ssom_outbox_depth)', 'outbox'],
            ['sum by (group, topic) (ssom:kafka_lag:max)', '{{topic}} for {{group}}'],
            ['max(ssom_push_due)', 'push'],
          ],
        },
        {
          title: 'Age of the oldest',
          unit: 's',
          queries: [
            ['max(ssom_outbox_age)', 'outbox'],
            ['max(ssom_push_lag)', 'push'],
          ],
        },
        {
          title: 'Rates by step, per s',
          queries: [
            [rate('ssom_alerts_created_total'), 'created'],
            [rate('ssom_fanout_recipients_total'), 'fanned out (recipients)'],
            [rate('ssom_deliveries_total'), 'into inboxes'],
            [rate('ssom_stream_changes_total'), 'to streams'],
            [rate('ssom_push_messages_total{result="sent"}'), 'to FCM'],
          ],
        },
        {
          title: 'In work',
          queries: [
            ['sum(ssom_create_queue)', 'CreateAlert'],
            ['sum(ssom_relay_in_flight)', 'relay'],
            ['sum(ssom_fanout_jobs)', 'fanout'],
            ['sum(ssom_stream_catch_up_waiting)', 'catch-ups'],
            ['sum(ssom_push_sending)', 'FCM'],
          ],
        },
      ],
    },
    {
      title: 'What goes wrong',
      panels: [
        {
          title: 'CreateAlert by status, per s',
          stack: true,
          queries: [['ssom:create_calls:rate5m', '{{rpc_response_status_code}}']],
        },
        {
          title: 'Retries per s',
          queries: [[rate('ssom_retries_total', 'consumer, reason'), '{{consumer}} {{reason}}']],
        },
        {
          title: 'Dead letters',
          queries: [['sum by (role) (increase(ssom:dead_letters:total[1h]))', '{{role}}, in an hour']],
        },
        {
          title: 'Repaired, per s',
          queries: [
            [rate('ssom_reconcile_republished_total'), 'sent again by reconcile'],
            [rate('ssom_stream_gaps_total'), 'gaps of streams'],
            [rate('ssom_stream_healed_total'), 'streams that were behind'],
          ],
        },
        {
          title: 'Circuit breakers (2: open)',
          queries: [['max by (role, name) (ssom_breaker_state)', '{{role}}: {{name}}']],
        },
        {
          title: 'Not ready',
          queries: [['min by (role, instance, check) (ssom_ready) == 0', '{{role}} {{instance}}: {{check}}']],
        },
        {
          title: 'Slow processing, alarms of our own, in an hour',
          queries: [
            ['sum by (stage) (increase(ssom_slow_total[1h]))', 'slow: {{stage}}'],
            ['sum by (group) (increase(ssom_lag_exceeded_total[1h]))', 'lag: {{group}}'],
            ['sum by (outcome) (increase(ssom_self_alerts_total[1h]))', 'alerts about ourselves: {{outcome}}'],
          ],
        },
      ],
    },
  ],
};
