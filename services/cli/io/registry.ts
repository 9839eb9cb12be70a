import type { Config } from '../../lib/config/load.js';
import type { RegistryClient } from '../../lib/registry/client.js';
import { type Context, UsageError } from '../context.js';

export interface RegistryFlags {
  /** True: the one that the configuration names. */
  readonly registry?: string | true;
}

interface Found<R> {
  readonly config: Config;
  readonly registry: R;
}

/**
 * The registry that a flag or the configuration names, which also says as whom it is asked.
 * @throws UsageError if neither names one, unless it is optional
 */
export function registryOf(context: Context, flags: RegistryFlags): Promise<Found<RegistryClient>>;
export function registryOf(
  context: Context,
  flags: RegistryFlags,
  need: 'optional',
): Promise<Found<RegistryClient | undefined>>;
export async function registryOf(
  context: Context,
  { registry }: RegistryFlags,
  need?: 'optional',
): Promise<Found<RegistryClient | undefined>> {
  const [{ loadConfig }, { RegistryClient, registryOptions }, { silentLogger }] = await Promise.all([
    import('../../lib/config/load.js'),
    import('../../lib/registry/client.js'),
    import('../../lib/logging.js'),
  ]);
  const url = typeof registry === 'string' ? registry : '';
  if (url !== '' && !/^https?:\/\/[^\s@]+$/.test(url))
    throw new UsageError('--registry must be an http:// or https:// URL, without a user and password');
  // They say nothing of the database.
  const config = loadConfig(
    { ...context.environment, ...(url === '' ? {} : { SCHEMA_REGISTRY_URL: url }) },
    { databaseUrl: 'postgres://localhost/' },
  );
  if (config.schemaRegistryUrl === '') {
    if (need === 'optional') return { config, registry: undefined };
    throw new UsageError('no registry is named: give --registry URL, or set SCHEMA_REGISTRY_URL or PROFILE=dev');
  }
  const logger = silentLogger();
  // The cache on disk is the service's, and of its registry.
  const options = { ...registryOptions(config.schemaRegistryUrl, config, logger), cacheDir: '' };
  return { config, registry: new RegistryClient(options, logger) };
}
