import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { Metrics } from '../../../../services/lib/telemetry/metrics.js';

/** A page of metrics as Prometheus reads it. */
async function serve(t: TestContext, metrics: Metrics): Promise<() => Promise<string[]>> {
  const server = createServer((request, response) => metrics.serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => metrics.close());
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return async () => {
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return page.split('\n').filter((line) => line.startsWith('ssom_test'));
  };
}

test('a gauge shows what is observed now, and nothing that was', async (t) => {
  const metrics = new Metrics('test');
  const page = await serve(t, metrics);
  let lags = [
    { value: 5, attributes: { partition: '0' } },
    { value: 961, attributes: { partition: '1' } },
  ];
  metrics.gauge('ssom.test.lag', 'A lag.', () => lags);
  const line = (partition: number, value: number) =>
    `ssom_test_lag{partition="${partition}",otel_scope_name="ssom-alert"} ${value}`;
  assert.deepEqual(await page(), [line(0, 5), line(1, 961)]);
  lags = [{ value: 4, attributes: { partition: '0' } }];
  assert.deepEqual(await page(), [line(0, 4)], 'the partition was given up');
  lags = [];
  assert.deepEqual(await page(), []);
});

test('a gauge that cannot be read is left out and told of once, and others are not', async (t) => {
  const unreadable: string[] = [];
  const metrics = new Metrics('test', undefined, undefined, (name, error) =>
    unreadable.push(`${name}: ${(error as Error).message}`),
  );
  const page = await serve(t, metrics);
  metrics.gauge('ssom.test.broken', 'Broken.', () => {
    throw new Error('broken');
  });
  // Two roles of one process, each with its own label; what both name is there once, since a page may not repeat it.
  for (const role of ['a', 'b'])
    metrics.gauge('ssom.test.versions', 'By role.', () => [
      { value: 1, attributes: { role } },
      { value: 7, attributes: { role: 'both' } },
    ]);
  metrics.gauge('ssom.test.age', 'Seconds.', () => 1.5, 's');
  const scope = 'otel_scope_name="ssom-alert"';
  assert.deepEqual(await page(), [
    `ssom_test_versions{role="a",${scope}} 1`,
    `ssom_test_versions{role="both",${scope}} 7`,
    `ssom_test_versions{role="b",${scope}} 1`,
    `ssom_test_age_seconds{${scope}} 1.5`,
  ]);
  await page();
  assert.deepEqual(unreadable, ['ssom.test.broken: broken']);
});
