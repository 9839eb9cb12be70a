import { randomUUID } from 'node:crypto';
import { detectResources, envDetector, type Resource, resourceFromAttributes } from '@opentelemetry/resources';

/**
 * Who sends: the resource of all spans and metrics of one process. Its `service.instance.id` is random, as the semantic
 * conventions ask where nothing else names an instance: the same for as long as the process lives, and no other's. What
 * OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say counts more.
 */
export function resourceOf(role: string): Resource {
  return resourceFromAttributes({
    'service.name': `ssom-${role}`,
    'service.namespace': 'ssom',
    'service.instance.id': randomUUID(),
  }).merge(detectResources({ detectors: [envDetector] }));
}
