import { quantiles, rate } from './queries.mjs';

/** @type {import('../generate.mjs').Dashboard} */
export const push = {
  uid: 'ssom-push',
  title: 'SSOM alerts: push',
  variables: [],
  rows: [
    {
      title: 'Messages to FCM',
      panels: [
        {
          title: 'By outcome, per s',
          stack: true,
          queries: [[rate('ssom_push_messages_total', 'what, result'), '{{what}} {{result}}']],
        },
        { title: 'Duration at FCM', unit: 's', queries: quantiles('ssom_push_duration', 'result') },
        {
          title: 'From CreateAlert to FCM',
          unit: 's',
          exemplars: true,
          queries: quantiles('ssom_alert_create_to_push_seconds'),
        },
        {
          title: 'On their way, and how many may be',
          queries: [
            ['ssom_push_sending', '{{instance}}'],
            ['ssom_push_limit', '{{instance}} may'],
          ],
        },
        { title: 'Seconds until FCM may be asked again', unit: 's', queries: [['ssom_push_paused', '{{instance}}']] },
      ],
    },
    {
      title: 'What waits',
      panels: [
        { title: 'Due', queries: [['max(ssom_push_due)', 'pushes']] },
        { title: 'Oldest has been due for', unit: 's', queries: [['max(ssom_push_lag)', '']] },
        {
          title: 'Claimed, and outcomes to store',
          queries: [
            ['ssom_push_claimed', '{{instance}} claimed'],
            ['ssom_push_outcomes', '{{instance}} outcomes'],
          ],
        },
        {
          title: 'Planned per s',
          queries: [
            [rate('ssom_push_planned_total', 'what'), '{{what}}'],
            [rate('ssom_push_swept_total'), 'users found by the sweep'],
            [rate('ssom_push_skipped_total'), 'push is off: changes'],
          ],
        },
        {
          title: 'Not sent, in an hour',
          queries: [['sum by (reason) (increase(ssom_push_ended_total[1h]))', '{{reason}}']],
        },
        {
          title: 'Devices that went, in an hour',
          queries: [
            ['sum(increase(ssom_push_tokens_removed_total[1h]))', 'unknown to FCM'],
            ['sum(increase(ssom_push_devices_pruned_total[1h]))', 'not renewed'],
          ],
        },
      ],
    },
  ],
};
