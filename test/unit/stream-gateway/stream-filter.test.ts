import assert from 'node:assert/strict';
import test from 'node:test';
import type { EncodedAlert } from '../../../services/stream-gateway/alert-contents.js';
import { StreamFilter } from '../../../services/stream-gateway/stream-filter.js';

const content = (kind: EncodedAlert['kind'], rank: number): EncodedAlert => ({
  kind,
  rank,
  createdAt: 0,
  bytes: Buffer.alloc(0),
});
const WARNING = content('GRAFANA', 2);
/** The client has seen everything up to here; rows with a smaller created number may be on its screen. */
const KNOWN = 10;

test('without a filter everything passes', () => {
  const filter = new StreamFilter([], 0, false);
  assert.ok(filter.passes('CREATED', false, 11, KNOWN, WARNING));
  assert.ok(filter.passes('READ', true, 11, KNOWN, WARNING));
  assert.ok(filter.passes('UNREAD', false, 11, KNOWN, WARNING));
  assert.ok(filter.passes('DELETED', false, 5, KNOWN, WARNING));
});

test('kinds and least level', () => {
  const kinds = new StreamFilter(['ISSUE', 'GRAFANA'], 0, false);
  assert.ok(kinds.passes('CREATED', false, 11, KNOWN, WARNING));
  assert.ok(!kinds.passes('CREATED', false, 11, KNOWN, content('JENKINS', 4)));
  const level = new StreamFilter([], 3, false);
  assert.ok(!level.passes('CREATED', false, 11, KNOWN, WARNING));
  assert.ok(level.passes('CREATED', false, 11, KNOWN, content('JENKINS', 3)));
  const both = new StreamFilter(['JENKINS'], 3, false);
  assert.ok(!both.passes('CREATED', false, 11, KNOWN, content('JENKINS', 2)));
  assert.ok(both.passes('CREATED', false, 11, KNOWN, content('JENKINS', 4)));
});

test('a row that never passed does not leave either', () => {
  const filter = new StreamFilter(['ISSUE'], 3, true);
  assert.ok(!filter.passes('READ', true, 5, KNOWN, WARNING));
  assert.ok(!filter.passes('DELETED', false, 5, KNOWN, WARNING));
});

test('unread only: what was read is told to those who may have seen it', () => {
  const filter = new StreamFilter([], 0, true);
  assert.ok(filter.passes('CREATED', false, 11, KNOWN, WARNING));
  assert.ok(filter.passes('READ', true, 5, KNOWN, WARNING));
  assert.ok(!filter.passes('READ', true, 11, KNOWN, WARNING));
  assert.ok(filter.passes('UNREAD', false, 11, KNOWN, WARNING));
});

test('a deletion is told to those who may have seen the row, whether its content is known or not', () => {
  const filter = new StreamFilter([], 0, false);
  assert.ok(filter.passes('DELETED', false, 10, KNOWN, undefined));
  assert.ok(!filter.passes('DELETED', false, 11, KNOWN, undefined));
  assert.ok(!filter.passes('DELETED', false, 11, KNOWN, WARNING));
  assert.ok(!filter.passes('CREATED', false, 11, KNOWN, undefined));
});
