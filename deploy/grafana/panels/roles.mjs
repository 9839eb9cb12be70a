import { JOB, quantiles, rate } from './queries.mjs';

/** @type {import('../generate.mjs').Dashboard} */
export const roles = {
  uid: 'ssom-roles',
  title: 'SSOM alerts: roles',
  variables: [{ name: 'role', query: `label_values(up{${JOB}}, role)` }],
  rows: [
    {
      title: 'Processes',
      panels: [
        { title: 'Up', queries: [[`up{${JOB}, role=~"$role"}`, '{{role}} {{instance}}']] },
        {
          title: 'CPU (1 is a core)',
          queries: [[`rate(process_cpu_time_total{${JOB}, role=~"$role"}[$__rate_interval])`, '{{role}} {{instance}}']],
        },
        {
          title: 'Memory',
          unit: 'bytes',
          queries: [[`process_memory_usage{${JOB}, role=~"$role"}`, '{{role}} {{instance}}']],
        },
        {
          title: 'Event-loop delay, p99',
          unit: 's',
          queries: [[`nodejs_eventloop_delay_p99{${JOB}, role=~"$role"}`, '{{role}} {{instance}}']],
        },
        { title: 'Uptime', unit: 's', queries: [[`process_uptime{${JOB}, role=~"$role"}`, '{{role}} {{instance}}']] },
        {
          title: 'Queues, share of their limit',
          unit: 'percentunit',
          queries: [['ssom_queue_size{role=~"$role"} / ssom_queue_limit{role=~"$role"}', '{{role}} {{queue}}']],
        },
      ],
    },
    {
      title: 'gRPC and PostgreSQL',
      panels: [
        {
          title: 'Calls per s',
          queries: [[rate(`rpc_server_call_duration_count{${JOB}, role=~"$role"}`, 'rpc_method'), '{{rpc_method}}']],
        },
        {
          title: 'Duration of calls',
          unit: 's',
          queries: quantiles(`rpc_server_call_duration{${JOB}, role=~"$role"}`, 'rpc_method'),
        },
        {
          title: 'Failed calls per s',
          queries: [
            [
              rate(
                `rpc_server_call_duration_count{${JOB}, role=~"$role", rpc_response_status_code!="OK"}`,
                'rpc_method, rpc_response_status_code',
              ),
              '{{rpc_method}} {{rpc_response_status_code}}',
            ],
          ],
        },
        {
          title: 'Connections of the pool',
          queries: [
            [`sum by (role, state) (db_client_connection_count{${JOB}, role=~"$role"})`, '{{role}} {{state}}'],
            [`sum by (role) (db_client_connection_max{${JOB}, role=~"$role"})`, '{{role}} at most'],
            [`sum by (role) (db_client_connection_pending_requests{${JOB}, role=~"$role"})`, '{{role}} wait'],
          ],
        },
        {
          title: 'Caches, share of hits',
          unit: 'percentunit',
          queries: [
            [
              'sum by (role, cache) (rate(ssom_cache_lookups_total{role=~"$role", result="hit"}[$__rate_interval])) / sum by (role, cache) (rate(ssom_cache_lookups_total{role=~"$role"}[$__rate_interval]))',
              '{{role}} {{cache}}',
            ],
          ],
        },
        {
          title: 'Spans per s',
          queries: [
            [rate('ssom_traces_spans_ended_total{role=~"$role"}', 'role'), '{{role}} ended'],
            [rate('ssom_traces_spans_dropped_total{role=~"$role"}', 'role, reason'), '{{role}} dropped: {{reason}}'],
            [
              rate('ssom_traces_sampled_down_total{role=~"$role"}', 'role'),
              '{{role}} not recorded as the caller asked',
            ],
          ],
        },
      ],
    },
    {
      title: 'Inboxes and retention',
      panels: [
        { title: 'Duration of a delivery batch', unit: 's', queries: quantiles('ssom_delivery_batch_duration') },
        { title: 'Records of a delivery batch', queries: quantiles('ssom_delivery_batch_size') },
        { title: 'Writes to inboxes, per s', queries: [[rate('ssom_inbox_writes_total', 'change'), '{{change}}']] },
        {
          title: 'Fan-out',
          queries: [
            ['sum(ssom_fanout_jobs)', 'alerts in work'],
            ['sum(ssom_fanout_uncommitted)', 'not committed'],
          ],
        },
        {
          title: 'Failed attempts and late events, per s',
          queries: [
            [rate('ssom_delivery_failures_total'), 'failed attempts'],
            [rate('ssom_deliveries_closed_total'), 'older than the retention'],
          ],
        },
        {
          title: 'Removed by retention, per s',
          queries: [[rate('ssom_retention_removed_total', 'what'), '{{what}}']],
        },
      ],
    },
    {
      title: 'Streams',
      panels: [
        {
          title: 'Open',
          queries: [
            ['ssom_stream_open', '{{instance}}'],
            ['ssom_stream_opening', '{{instance}} opening'],
          ],
        },
        {
          title: 'Changes to streams, per s',
          queries: [[rate('ssom_stream_changes_total', 'instance'), '{{instance}}']],
        },
        {
          title: 'Slow readers',
          queries: [
            ['ssom_stream_slow', '{{instance}} do not read'],
            [rate('ssom_stream_stalled_total', 'instance'), '{{instance}} ended for it, per s'],
          ],
        },
        {
          title: 'Waiting for streams',
          unit: 'bytes',
          queries: [
            ['ssom_stream_pending_bytes', '{{instance}} written'],
            ['ssom_stream_announced_bytes', '{{instance}} announced'],
            ['ssom_stream_content_cache_bytes', '{{instance}} contents'],
          ],
        },
        {
          title: 'Buffered changes and catch-ups',
          queries: [
            ['ssom_stream_buffered', '{{instance}} buffered'],
            ['ssom_stream_catch_up_waiting', '{{instance}} wait to catch up'],
            ['ssom_presence_waiting', '{{instance}} presence'],
          ],
        },
        {
          title: 'Queries to catch up, records skipped, per s',
          queries: [
            [rate('ssom_stream_catch_up_queries_total', 'instance'), '{{instance}} queries'],
            [rate('ssom_stream_records_skipped_total', 'instance'), '{{instance}} of nobody here'],
          ],
        },
      ],
    },
  ],
};
