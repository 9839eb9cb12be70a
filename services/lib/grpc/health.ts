import type { handleServerStreamingCall, Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { HealthImplementation, ServingStatus } from 'grpc-health-check';

type Watch = handleServerStreamingCall<{ service: string }, { status: ServingStatus | 'SERVICE_UNKNOWN' }>;

/**
 * Serves grpc.health.v1. Who watches a service that there is not is told so by us: the implementation keeps each name
 * that it was ever asked for.
 */
export function addHealth(server: Server, health: HealthImplementation, isKnown: (service: string) => boolean): void {
  health.addToServer({
    addService: (definition: Parameters<Server['addService']>[0], handlers: UntypedServiceImplementation) => {
      const watch: Watch = (call) => {
        if (isKnown(call.request.service)) (handlers['watch'] as Watch)(call);
        else call.write({ status: 'SERVICE_UNKNOWN' });
      };
      server.addService(definition, { ...handlers, watch });
    },
  });
}
