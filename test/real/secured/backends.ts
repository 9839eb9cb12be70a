import assert from 'node:assert/strict';
import { it } from 'node:test';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient, registryOptions } from '../../../services/lib/registry/client.js';
import { resourceOf } from '../../../services/lib/telemetry/resource.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';
import type { SecuredStack } from './stack.js';

const SCHEMA = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"}]}';

export function testBackends(stackOf: () => SecuredStack): void {
  it('the real registry takes who has a password and believes its authority, and nobody else', async (t) => {
    const { registry, registryEnvironment: right } = stackOf();
    const ask = async (environment: Record<string, string>) => {
      const config = loadConfig(environment);
      const client = new RegistryClient(
        registryOptions(config.schemaRegistryUrl, config, silentLogger()),
        silentLogger(),
      );
      defer(t, () => client.breaker.close());
      return client.register('s-value', SCHEMA).then(
        (id) => typeof id,
        (error: Error) => error.message,
      );
    };
    assert.equal(await ask(right), 'number');
    assert.match(await ask({ ...right, SCHEMA_REGISTRY_USERNAME: '' }), /answered 401/);
    assert.match(await ask({ ...right, SCHEMA_REGISTRY_CA_FILE: '' }), /no authority that is trusted here/);
    const { SCHEMA_REGISTRY_CA_FILE: _, ...plain } = right;
    assert.match(
      await ask({ ...plain, SCHEMA_REGISTRY_URL: registry.url.replace('https:', 'http:') }),
      /did not answer/,
    );
  });

  it('the real Jaeger takes spans by TLS from who has a certificate, and from nobody else', async () => {
    const stack = stackOf();
    const { jaeger } = stack;
    const own = {
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: stack.file('delivery.pem'),
      OTEL_EXPORTER_OTLP_CLIENT_KEY: stack.file('delivery-key.pem'),
    };
    const send = async (service: string, environment: Record<string, string>) => {
      const variables = {
        OTEL_EXPORTER_OTLP_CERTIFICATE: stack.file('ca.pem'),
        OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
        ...environment,
      };
      const before = process.env;
      process.env = { ...before, ...variables };
      try {
        const tracing = await Tracing.start(loadConfig(variables), resourceOf(service), silentLogger());
        tracing.start('a span').end();
        await tracing.close();
        return tracing.counts.exportFailed + tracing.counts.shutdown;
      } finally {
        process.env = before;
      }
    };
    const http = { OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpHttpUrl, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' };
    assert.equal(await send('by-grpc', { ...own, OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpGrpcUrl }), 0);
    assert.equal(await send('by-http', { ...own, ...http }), 0);
    assert.equal(await send('nobody', { OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpGrpcUrl }), 1);
    assert.equal(await send('nobody', http), 1);
    const known = async () =>
      ((await (await fetch(`${jaeger.url}/api/services`)).json()) as { data: string[] | null }).data;
    await untilTrue(async () => (await known())?.length === 2, { what: 'the two services' });
    assert.deepEqual((await known())!.toSorted(), ['ssom-by-grpc', 'ssom-by-http']);
  });
}
