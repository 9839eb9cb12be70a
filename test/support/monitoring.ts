// What is below deploy/prometheus and deploy/grafana, as data.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../../services/lib/root.js';

export const PROMETHEUS = join(ROOT, 'deploy', 'prometheus');
const DASHBOARDS = join(ROOT, 'deploy', 'grafana', 'dashboards');

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

export interface RuleTest {
  readonly name: string;
  readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly unknown[] }[];
}

export interface Query {
  /** Dashboard and panel. */
  readonly where: string;
  readonly expr: string;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly title: string;
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
  readonly panels: readonly Panel[];
}

/** Whether a program of Prometheus is installed; where everything must be, it counts as such and its absence fails. */
export function lacksPrometheus(program: 'prometheus' | 'promtool'): string | false {
  if ((process.env['CI'] ?? '') !== '' || (process.env['SSOM_REQUIRE_REAL'] ?? '') !== '') return false;
  if (spawnSync(program, ['--version']).error === undefined) return false;
  return missing(program);
}

function missing(program: string): string {
  return `${program} is not installed: 'apt-get install prometheus' brings it, or the archive of prometheus.io/download, put on the PATH`;
}

/** @throws what is missing and how to get it, where it must be there */
export function requirePrometheus(program: 'prometheus' | 'promtool'): void {
  if (spawnSync(program, ['--version']).error !== undefined) throw new Error(missing(program));
}

/** Runs promtool. @returns what it says, and whether all was well */
export function promtool(...args: string[]): { ok: boolean; said: string } {
  requirePrometheus('promtool');
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return { ok: status === 0, said: `${stdout}${stderr}` };
}

export function filesIn(folder: 'rules' | 'tests'): string[] {
  return readdirSync(join(PROMETHEUS, folder))
    .sort()
    .map((file) => join(PROMETHEUS, folder, file));
}

export function ruleFiles(): RuleFile[] {
  return filesIn('rules').map((file) => parse(readFileSync(file, 'utf8')) as RuleFile);
}

export function rules(): Rule[] {
  return ruleFiles().flatMap(({ groups }) => groups.flatMap((group) => group.rules));
}

export function ruleTests(): RuleTest[] {
  return filesIn('tests').flatMap((file) => (parse(readFileSync(file, 'utf8')) as { tests: RuleTest[] }).tests);
}

/** Every query of every dashboard, with values for Grafana's variables. */
export function dashboardQueries(): Query[] {
  return readdirSync(DASHBOARDS).flatMap((file) => {
    const { title, panels, templating } = JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as Dashboard;
    const shown = panels.flatMap((panel) =>
      (panel.targets ?? []).map(({ expr }) => ({ where: `${title} / ${panel.title}`, expr: withoutVariables(expr) })),
    );
    const chosen = templating.list.flatMap(({ name, query }) => {
      const selector = /^label_values\((.*), \w+\)$/.exec(query)?.[1];
      return selector === undefined ? [] : [{ where: `${title} / $${name}`, expr: selector }];
    });
    return [...shown, ...chosen];
  });
}

function withoutVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replace(/\$\w+/g, '.*');
}

const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan']);

/** The metrics that a PromQL expression names. */
export function metricsOf(expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ');
  const names = bare.matchAll(/(?<![\w.:])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])/g);
  return [...new Set([...names].map(([name]) => name).filter((name) => !WORDS.has(name.toLowerCase())))];
}
