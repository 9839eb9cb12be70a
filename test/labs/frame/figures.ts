import { table } from './report.js';
import { median } from './statistics.js';

/** Titles of tables that several scenarios fill. */
export const CPU = 'CPU, milliseconds per 1,000 calls or user-alerts';
export const MEMORY = "Memory, megabytes resident; of PostgreSQL's processes the sum, what they share counted once";
export const IDLE_CPU = 'CPU while there is nothing to do, percent of a core';

/** What a figure is held against. `bound` has to be met; an `aim` is what the product was designed for. */
export interface Limit {
  readonly kind: 'bound' | 'aim';
  readonly at: 'least' | 'most';
  readonly value: number;
}

export interface Figure {
  readonly scenario: string;
  readonly name: string;
  readonly unit: string;
  readonly limit?: Limit;
  /** One a round. */
  readonly values: number[];
}

/** A table of medians: rows are processes, columns what they did. */
interface Grid {
  readonly title: string;
  readonly cells: Map<string, Map<string, number[]>>;
}

/** Everything that was measured, one value a round, and how it reads. */
export class Figures {
  readonly #figures = new Map<string, Figure>();
  readonly #grids = new Map<string, Grid>();
  readonly #notes: string[] = [];

  add(scenario: string, name: string, unit: string, value: number, limit?: Limit): void {
    const key = `${scenario}\0${name}`;
    const figure = this.#figures.get(key);
    if (figure !== undefined) figure.values.push(value);
    else this.#figures.set(key, { scenario, name, unit, values: [value], ...(limit === undefined ? {} : { limit }) });
  }

  /** A value of the table `title`, in row and column. */
  cell(title: string, row: string, column: string, value: number): void {
    const grid = this.#grids.get(title) ?? { title, cells: new Map<string, Map<string, number[]>>() };
    this.#grids.set(title, grid);
    const cells = grid.cells.get(row) ?? new Map<string, number[]>();
    grid.cells.set(row, cells);
    const values = cells.get(column);
    if (values === undefined) cells.set(column, [value]);
    else values.push(value);
  }

  /** Something that a reader of the figures should know. */
  note(text: string): void {
    if (!this.#notes.includes(text)) this.#notes.push(text);
  }

  toJson(): object {
    return {
      figures: [...this.#figures.values()],
      tables: [...this.#grids.values()].map(({ title, cells }) => ({
        title,
        rows: Object.fromEntries([...cells].map(([row, columns]) => [row, Object.fromEntries(columns)])),
      })),
      notes: this.#notes,
    };
  }

  toMarkdown(heading: readonly string[]): string {
    const lines = [...heading, ''];
    const rows = [...this.#figures.values()].map(({ scenario, name, unit, limit, values }) => [
      scenario,
      name,
      `${shown(median(values))} ${unit}`.trim(),
      values.length > 1 ? `${shown(Math.min(...values))} to ${shown(Math.max(...values))}` : '',
      limit === undefined ? '' : limitText(limit, unit),
      limit === undefined ? '' : verdict(limit, median(values)),
    ]);
    if (rows.length > 0) {
      lines.push(...table(['Scenario', 'Figure', 'Median', 'Rounds', 'Limit', 'Met'], rows, [2, 3]), '');
    }
    for (const { title, cells } of this.#grids.values()) {
      const columns = [...new Set([...cells.values()].flatMap((row) => [...row.keys()]))];
      const body = [...cells].map(([row, values]) => [
        row,
        ...columns.map((column) => (values.has(column) ? shown(median(values.get(column)!)) : '')),
      ]);
      const numbers = columns.map((_, index) => index + 1);
      lines.push(`${title}:`, '', ...table(['Process', ...columns], body, numbers), '');
    }
    if (this.#notes.length > 0) lines.push('Notes of the run:', '', ...this.#notes.map((note) => `- ${note}`), '');
    return lines.join('\n');
  }
}

function limitText({ kind, at, value }: Limit, unit: string): string {
  return `${kind === 'aim' ? 'aim: ' : ''}at ${at} ${shown(value)} ${unit}`.trim();
}

function verdict({ at, value }: Limit, measured: number): string {
  return (at === 'least' ? measured >= value : measured <= value) ? 'yes' : '**no**';
}

/** Three significant digits, thousands apart. */
function shown(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
