import assert from 'node:assert/strict';
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { stringify } from 'yaml';
import { main } from '../../../services/cli/cli.js';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import {
  dashboardQueries,
  filesIn,
  lacksPrometheus,
  metricsOf,
  PROMETHEUS,
  promtool,
  rules,
  ruleTests,
} from '../../support/monitoring.js';
import { fakeContext } from '../cli/fake-context.js';

/**
 * What an operator is told to type, in the folder of the repository: our command, or a script of ours, and its flags.
 */
const OURS = /\bnpx ssom-alert ([a-z]+(?: (?:trace|create|list|redrive)\b)?)((?: (?:--[a-z-]+|[A-Z]+\b|\d+[hd]\b))*)/g;
const SCRIPT = /\bdeploy\/[\w/.-]+\.sh\b/g;
/** Ours, or how a role is asked: named, and not as it is typed. */
const NOT_TYPED =
  /(?<!npx )\bssom-alert [a-z]|(?<!bash |\bdeploy\/kafka\/)\bkafka-[a-z-]+\.sh|\bcurl (?!-s?v?m 5 https?:\/\/)/;
const ROLE_URL = /\/\/\{\{ \$labels\.instance \}\}(\/\w*)/g;

const alarms = rules().filter(({ alert }) => alert !== undefined);

describe('the rules', () => {
  it('have a name of their own, a severity and a runbook that says what to do first', () => {
    const names = alarms.map(({ alert }) => alert);
    assert.equal(new Set(names).size, names.length);
    for (const { alert, labels, annotations } of alarms) {
      assert.match(labels?.['severity'] ?? '', /^(critical|warning)$/, alert);
      assert.ok((annotations?.['summary'] ?? '').length > 10, `${alert} has no summary`);
      assert.match(annotations?.['runbook'] ?? '', /[.)] First: \S/, `${alert} has no runbook`);
    }
  });

  it('are each shown to fire, and to be silent', () => {
    const tests = ruleTests();
    for (const { alert } of alarms) {
      const ofIt = tests.filter(({ name }) => name.startsWith(`${alert} `));
      const outcomes = ofIt.map(({ promql_expr_test: checks }) =>
        checks.map(({ expr, exp_samples: samples }) => {
          assert.ok(expr.startsWith(`ALERTS{alertname="${alert}", alertstate="firing"`), `${alert}: ${expr}`);
          return samples.length > 0 ? 'fires' : 'is silent';
        }),
      );
      assert.deepEqual([...new Set(outcomes.flat())].sort(), ['fires', 'is silent'], alert);
    }
    const strays = tests.filter(({ name }) => !alarms.some(({ alert }) => name.startsWith(`${alert} `)));
    assert.deepEqual(
      strays.map(({ name }) => name),
      [],
    );
  });

  it('tell to type what there is', async () => {
    const runbooks = alarms.map(({ annotations }) => annotations?.['runbook'] ?? '');
    const told = runbooks.flatMap((runbook) => [...runbook.matchAll(OURS)]);
    assert.ok(told.length > 20, `only ${told.length} commands were found`);
    for (const [text, command, flags] of told) {
      const context = fakeContext();
      assert.equal(await main([...command!.split(' '), '--help'], context), 0, text);
      assert.match(context.out(), new RegExp(`^Usage: ssom-alert ${command}`), text);
      for (const flag of flags!.match(/--[a-z-]+/g) ?? [])
        assert.match(context.out(), new RegExp(`^ +${flag}\\b`, 'm'), text);
    }
    for (const script of runbooks.flatMap((runbook) => runbook.match(SCRIPT) ?? []))
      assert.doesNotThrow(() => accessSync(join(ROOT, script), constants.X_OK), script);
  });

  it('write commands as they are typed, with what this alarm knows', () => {
    for (const { alert, expr, annotations } of alarms) {
      const runbook = annotations?.['runbook'] ?? '';
      assert.equal(NOT_TYPED.exec(runbook)?.[0], undefined, `${alert}: ${runbook}`);
      for (const [, path] of runbook.matchAll(ROLE_URL)) assert.match(path!, /^\/(livez|readyz|metrics)$/, alert);
      // An expression that sums up has the labels that it says, and no others.
      for (const [, label] of `${annotations?.['summary']} ${runbook}`.matchAll(/\$labels\.(\w+)/g))
        if (/^(sum|max|min|count)\b/.test(expr)) assert.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b`), alert);
    }
    const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: Record<string, string> };
    accessSync(join(ROOT, bin['ssom-alert']!), constants.X_OK);
  });

  it('are in the table of the README, and no others', () => {
    const readme = readFileSync(join(PROMETHEUS, 'README.md'), 'utf8');
    const listed = [...readme.matchAll(/^\| `(\w+)` +\| (critical|warning) /gm)].map(([, name, severity]) => [
      name,
      severity,
    ]);
    assert.deepEqual(listed.sort(), alarms.map(({ alert, labels }) => [alert, labels?.['severity']]).sort());
  });

  it('name only recorded metrics that are recorded', () => {
    const recorded = new Set(rules().map(({ record }) => record));
    for (const { where, expr } of [...dashboardQueries(), ...rules().map((rule) => ({ where: rule.alert, ...rule }))])
      for (const name of metricsOf(expr))
        if (name.includes(':')) assert.ok(recorded.has(name), `${where}: nothing records ${name}`);
  });
});

describe('promtool', { skip: lacksPrometheus('promtool') }, () => {
  it('finds the rules and the scrape configuration right', () => {
    for (const args of [
      ['check', 'rules', ...filesIn('rules')],
      ['check', 'config', join(PROMETHEUS, 'prometheus.yml')],
    ]) {
      const { ok, said } = promtool(...args);
      assert.ok(ok, said);
    }
  });

  it('sees each alarm fire, and be silent', () => {
    const { ok, said } = promtool('test', 'rules', ...filesIn('tests'));
    assert.ok(ok, said);
  });

  it('understands every query of the dashboards', (t) => {
    const queries = dashboardQueries();
    assert.ok(queries.length > 50, `only ${queries.length} queries`);
    const folder = temporaryFolder();
    t.after(folder.remove);
    const file = join(folder.path, 'queries.yml');
    const recorded = queries.map(({ expr }, index) => ({ record: `query:${index}`, expr }));
    writeFileSync(file, stringify({ groups: [{ name: 'queries', rules: recorded }] }));
    const { ok, said } = promtool('check', 'rules', file);
    assert.ok(ok, said);
  });
});

it('where Prometheus must be and is not, the tests say what is missing and how to get it', (t) => {
  const { PATH } = process.env;
  t.after(() => (process.env['PATH'] = PATH ?? ''));
  process.env['PATH'] = '/nowhere';
  assert.throws(() => promtool('--version'), /promtool is not installed: 'apt-get install prometheus'/);
});

describe('metricsOf', () => {
  for (const [expr, names] of [
    ['sum by (role, x) (rate(a_total{b="c_d"}[5m])) / 2 > 1e9', ['a_total']],
    ['a_x{l=~"u(v)|w"} or on (group) b:c:rate3m unless up == 0', ['a_x', 'b:c:rate3m', 'up']],
    ['histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m])))', ['h_bucket']],
  ] as const)
    it(expr, () => assert.deepEqual(metricsOf(expr), names));
});
