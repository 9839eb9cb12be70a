import { randomUUID } from 'node:crypto';
import { detectResources, envDetector, type Resource, resourceFromAttributes } from '@opentelemetry/resources';

/**
 * Who sends: the resource of all spans and metrics of one process. Its `service.instance.id` is random and lasts as
 * long as the process. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count more.
 */
export function resourceOf(role: string): Resource {
  return resourceFromAttributes({
    'service.name': `ssom-${role}`,
    'service.namespace': 'ssom',
    'service.instance.id': randomUUID(),
  }).merge(detectResources({ detectors: [envDetector] }));
}
