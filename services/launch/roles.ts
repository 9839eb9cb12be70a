import { createAlertApi } from '../alert-api/alert-api.js';
import { createDelivery } from '../delivery/delivery.js';
import type { RoleName } from '../domain/role-names.js';
import { createFanout } from '../fanout/fanout.js';
import type { Config } from '../lib/config/load.js';
import type { Service } from '../lib/lifecycle.js';
import { createMaintenance } from '../maintenance/maintenance.js';
import { createPush, problemsOfCredentials } from '../push/push.js';
import type { Runtime } from '../runtime/runtime.js';
import { RecipientResolver } from '../store/recipient-resolver.js';
import { createStreamGateway } from '../stream-gateway/stream-gateway.js';

export interface RoleOptions {
  /** Kafka's records were lost with an earlier process, so that a reconciliation is due at once. */
  readonly brokerIsNew: boolean;
}

/** What may run as a process of its own; standalone runs all of them in one. */
export interface Role {
  readonly create: (runtime: Runtime, options: RoleOptions) => Service;
  /** Undefined: it serves no gRPC besides health, and that only if GRPC_LISTEN is set. */
  readonly grpcListen?: string;
  readonly httpListen: string;
  /** What it can do without. */
  readonly optional?: readonly string[];
  /** What the configuration lacks that this role alone needs: problems, each beginning with its variable. */
  readonly problemsOf?: (config: Config) => string[];
}

/** Runs several services as one. */
export function together(services: readonly Service[]): Service {
  return {
    async run(signal) {
      await Promise.all(services.map((service) => service.run(signal)));
    },
    async close() {
      await Promise.all(services.map((service) => service.close()));
    },
  };
}

/** How each role is made, and what it needs to be told. */
export const ROLES: Readonly<Record<RoleName, Role>> = {
  'alert-api': {
    create: createAlertApi,
    grpcListen: '127.0.0.1:50051',
    httpListen: '127.0.0.1:9464',
    optional: ['kafka', 'schema registry'],
  },
  fanout: {
    create: (runtime, { brokerIsNew }) => {
      // A version of the directory may take 10 MB: maintenance looks recipients up in the same one.
      const resolver = new RecipientResolver(runtime.database);
      const maintenance = createMaintenance(runtime, resolver, { reconcileAtStart: brokerIsNew });
      return together([createFanout(runtime, resolver), maintenance]);
    },
    httpListen: '127.0.0.1:9465',
  },
  delivery: { create: createDelivery, httpListen: '127.0.0.1:9466' },
  push: { create: createPush, httpListen: '127.0.0.1:9467', problemsOf: problemsOfCredentials },
  'stream-gateway': { create: createStreamGateway, grpcListen: '127.0.0.1:50052', httpListen: '127.0.0.1:9468' },
};
