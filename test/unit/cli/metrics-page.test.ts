import assert from 'node:assert/strict';
import test from 'node:test';
import { bucketsOf, MetricsPage, quantile } from '../../../services/cli/io/metrics-page.js';

test('a page of metrics is read, and what is no line of one is passed over', () => {
  const page = new MetricsPage(
    [
      '# HELP a_total what "it" is',
      '# TYPE a_total counter',
      'a_total{group="x",topic="t\\"}{\\\\\\n1"} 3 1700000000000',
      'a_total{group="y"} 4.5',
      'plain 7',
      'most{a="1"} -3',
      'most{a="2"} -1',
      'endless +Inf',
      'broken{a="1} 9',
      '<html>',
      '',
    ].join('\n'),
  );
  assert.equal(page.sum('a_total'), 7.5);
  assert.equal(page.sum('a_total', { group: 'x' }), 3);
  assert.equal(page.sum('a_total', { group: 'z' }), undefined);
  assert.equal(page.samples('a_total')[0]!.labels['topic'], 't"}{\\\n1');
  assert.equal(page.sum('plain'), 7);
  assert.equal(page.max('most'), -1);
  assert.equal(page.max('endless'), Infinity);
  assert.equal(page.max('broken'), undefined);
  assert.deepEqual(page.samples('nothing'), []);
  assert.equal(page.has('plain'), true);
  assert.equal(page.has('nothing'), false);
});

test('a label cannot pass for what every object has', () => {
  const [sample] = new MetricsPage('a{__proto__="x"} 1').samples('a');
  assert.equal(sample!.labels['__proto__'], 'x');
  assert.equal(sample!.labels['constructor'], undefined);
});

test('a quantile lies within its bucket, as Prometheus has it', () => {
  const lines = [
    'h_bucket{role="a",le="0.1"} 5',
    'h_bucket{role="a",le="1"} 9',
    'h_bucket{role="a",le="+Inf"} 10',
    'h_bucket{role="b",le="0.1"} 5',
    'h_bucket{role="b",le="1"} 9',
    'h_bucket{role="b",le="+Inf"} 10',
  ];
  const buckets = bucketsOf(new MetricsPage(lines.join('\n')), 'h');
  assert.deepEqual([...buckets.values()], [10, 18, 20]);
  assert.equal(quantile(buckets, 0.25), 0.05);
  assert.ok(Math.abs(quantile(buckets, 0.7)! - 0.55) < 1e-9);
  assert.equal(quantile(buckets, 0.99), 1, 'above the last bound it is that bound');
  assert.equal(quantile(new Map(), 0.5), undefined);
  assert.equal(quantile(new Map([[Infinity, 0]]), 0.5), undefined);
});
