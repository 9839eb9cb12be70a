import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { freePorts } from '#stack';

it('free ports are none that the system gives to a connection before they are taken', async () => {
  const ports = await freePorts(200);
  assert.equal(new Set(ports).size, 200);
  const [firstGiven] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number);
  assert.deepEqual(
    ports.filter((port) => port >= firstGiven!),
    [],
  );
});
