import type { RoleProcess } from '../../support/role-process.js';
import { withStack } from '../frame/stack.js';
import type { Place } from './reconnect-run.js';

/** Small pages and buffers, so that a short time away is several of them. */
const SETTINGS = { STREAM_PAGE_SIZE: '20', STREAM_BUFFER_MAX: '10' };

/** The real stack, with every role a process, for as long as `use` runs. */
export function onRealStack<T>(gatewayCount: number, use: (place: Place) => Promise<T>): Promise<T> {
  return withStack({}, async (stack) => {
    const roles = stack.roles(SETTINGS);
    const start = (role: string) => roles.start(role);
    const alertApi = start('alert-api');
    const gateways = Array.from({ length: gatewayCount }, () => start('stream-gateway'));
    await Promise.all([alertApi, start('fanout'), start('delivery'), ...gateways].map((role) => role.ready()));
    const metric = (name: string) => (role: RoleProcess) => role.metric(name);
    return use({
      api: alertApi.grpc,
      gateways: gateways.map(({ grpc }) => grpc),
      sql: async (text, values) => (await stack.database.query(text, values)).rows as never,
      openStreams: async () => {
        const counts = await Promise.all(gateways.map(metric('ssom_stream_open')));
        return counts.reduce((sum, count) => sum + count, 0);
      },
    });
  });
}
