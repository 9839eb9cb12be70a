import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import pg from 'pg';
import { ControlConnection } from '../../../services/lib/postgres-control.js';

test('a connection that is given up while it is being made holds up nothing after it', async (t) => {
  // Takes connections, and never says a word.
  const silent = net.createServer((socket) => socket.on('error', () => undefined));
  t.after(() => silent.close());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as net.AddressInfo;
  const ports = [port, 1]; // then one where nobody listens
  const control = new ControlConnection(() => new pg.Client({ host: '127.0.0.1', port: ports.shift()! }));
  t.after(() => control.close());

  const [query, lock] = [control.query('SELECT 1'), control.lock(7)];
  const outcomes = Promise.allSettled([query, lock]);
  const [socket] = (await once(silent, 'connection')) as [net.Socket];
  await once(socket, 'data');
  control.leave();
  const messages = (await outcomes).map((outcome) => (outcome as PromiseRejectedResult).reason as Error).map(String);
  assert.match(messages[0]!, /Connection terminated/);
  assert.match(messages[1]!, /ECONNREFUSED/);
});
