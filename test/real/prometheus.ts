// A real Prometheus on a free port, with our rules, that scrapes the given roles every second.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse, stringify } from 'yaml';
import { filesIn, requirePrometheus, type Rule, type RuleFile } from '../support/monitoring.js';
import type { RoleProcess } from '../support/role-process.js';
import { until } from '../support/until-true.js';

export interface FiringAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Target {
  readonly health: string;
  readonly lastError: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface EvaluatedRules {
  readonly groups: readonly { readonly rules: readonly { name: string; health: string; lastError?: string }[] }[];
}

export class Prometheus {
  #url = '';
  readonly #child: ChildProcess;
  readonly #said: string[] = [];

  /** @param adapt changes the test's own copy of each rule */
  constructor(folder: string, targets: readonly { role: string; http: string }[], adapt: (rule: Rule) => Rule) {
    requirePrometheus('prometheus');
    const config = join(folder, 'prometheus.yml');
    writeFileSync(config, stringify(scraping(targets)));
    mkdirSync(join(folder, 'rules'));
    for (const file of filesIn('rules')) {
      const { groups } = parse(readFileSync(file, 'utf8')) as RuleFile;
      const adapted = groups.map((group) => ({ ...group, rules: group.rules.map(adapt) }));
      writeFileSync(join(folder, 'rules', basename(file)), stringify({ groups: adapted }));
    }
    const flags = {
      'config.file': config,
      'storage.tsdb.path': join(folder, 'data'),
      'web.listen-address': '127.0.0.1:0',
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    this.#child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    process.once('exit', () => this.#child.kill('SIGKILL'));
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      this.#said.push(line);
      const address = /msg="Listening on".* address=(\S+)/.exec(line)?.[1];
      if (address !== undefined) this.#url = `http://${address}`;
    });
  }

  async ready(): Promise<this> {
    await until(
      () => `Prometheus is ready: ${this.#said.slice(-5).join('\n')}`,
      async () => this.#url !== '' && (await fetch(`${this.#url}/-/ready`)).ok,
    );
    return this;
  }

  async targets(): Promise<readonly Target[]> {
    return (await this.#get<{ activeTargets: Target[] }>('targets')).activeTargets;
  }

  /** What is wrong with the rules, by name; empty if all were evaluated. Undefined until they were. */
  async wrongRules(): Promise<readonly string[] | undefined> {
    const { groups } = await this.#get<EvaluatedRules>('rules');
    const all = groups.flatMap((group) => group.rules);
    if (all.some(({ health }) => health === 'unknown')) return undefined;
    return all.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`);
  }

  /** The alerts of this name, pending and firing. */
  async alerts(name: string): Promise<readonly FiringAlert[]> {
    const { alerts } = await this.#get<{ alerts: FiringAlert[] }>('alerts');
    return alerts.filter(({ labels }) => labels['alertname'] === name);
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`, { signal: AbortSignal.timeout(5000) });
    return ((await response.json()) as { data: T }).data;
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.kill('SIGTERM')) await exited;
  }
}

/** The target of a role, as deploy/prometheus/prometheus.yml has it. */
export async function targetOf(role: RoleProcess): Promise<{ role: string; http: string }> {
  return { role: role.role, http: (await role.listening()).http };
}

function scraping(targets: readonly { role: string; http: string }[]) {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['rules/*.yml'],
    scrape_configs: [
      {
        job_name: 'ssom-alert',
        static_configs: targets.map(({ role, http }) => ({ targets: [http], labels: { role } })),
      },
    ],
  };
}
