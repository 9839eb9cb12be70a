// Writes the dashboards of panels/ as Grafana wants them. `--check` fails if a file is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kafka } from './panels/kafka.mjs';
import { overview } from './panels/overview.mjs';
import { push } from './panels/push.mjs';
import { roles } from './panels/roles.mjs';

// A panel: its title, the unit of its values, and its queries with what a line is called.
// `stat`: one number instead of lines. `stack`: lines that add up. `exemplars`: shows traces as points.

/**
 * @typedef {{ title: string, unit?: string, stat?: boolean, stack?: boolean, exemplars?: boolean, about?: string,
 *   queries: [expr: string, legend: string][] }} Panel
 * @typedef {{ title: string, panels: Panel[] }} Row
 * @typedef {{ uid: string, title: string, variables: { name: string, query: string }[], rows: Row[] }} Dashboard
 */

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'dashboards');
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
/** Grafana's grid has 24 columns. */
const STAT = { w: 4, h: 4 };
const LINES = { w: 8, h: 7 };

/** @param {Panel} panel */
function target(panel, [expr, legend], index) {
  const refId = String.fromCharCode(65 + index);
  const exemplar = panel.exemplars === true && index === 0;
  return { datasource: DATASOURCE, refId, expr, legendFormat: legend, instant: panel.stat === true, exemplar };
}

/** @param {Panel} panel */
function drawing(panel) {
  const custom = panel.stack === true ? { stacking: { mode: 'normal' }, fillOpacity: 30 } : { fillOpacity: 5 };
  return {
    type: panel.stat === true ? 'stat' : 'timeseries',
    title: panel.title,
    ...(panel.about === undefined ? {} : { description: panel.about }),
    datasource: DATASOURCE,
    fieldConfig: {
      defaults: { unit: panel.unit ?? 'short', min: 0, ...(panel.stat === true ? {} : { custom }) },
      overrides: [],
    },
    targets: panel.queries.map((query, index) => target(panel, query, index)),
  };
}

/** Rows and panels, each in its place. @param {Row[]} rows */
function layOut(rows) {
  const panels = [];
  let y = 0;
  for (const row of rows) {
    panels.push({ type: 'row', title: row.title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      const { w, h } = panel.stat === true ? STAT : LINES;
      if (x + w > 24) {
        x = 0;
        y += height;
      }
      panels.push({ ...drawing(panel), gridPos: { x, y, w, h } });
      x += w;
      height = h;
    }
    y += height;
  }
  return panels.map((panel, index) => ({ id: index + 1, ...panel }));
}

/** @param {{ name: string, query: string }} variable */
function choice({ name, query }) {
  const all = { includeAll: true, multi: true, allValue: '.*', current: { text: 'All', value: '$__all' } };
  return { type: 'query', name, datasource: DATASOURCE, query, refresh: 2, sort: 1, ...all };
}

/** @param {Dashboard} dashboard */
function dashboardOf({ uid, title, variables, rows }) {
  return {
    uid,
    title,
    tags: ['ssom-alert'],
    schemaVersion: 39,
    timezone: 'browser',
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    links: [{ type: 'dashboards', title: 'SSOM alerts', tags: ['ssom-alert'], asDropdown: false, keepTime: true }],
    templating: {
      list: [
        { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus' },
        ...variables.map(choice),
      ],
    },
    panels: layOut(rows),
  };
}

const check = process.argv.includes('--check');
for (const dashboard of [overview, roles, kafka, push]) {
  const file = join(FOLDER, `${dashboard.uid}.json`);
  const text = `${JSON.stringify(dashboardOf(dashboard), null, 1)}\n`;
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    process.stderr.write(`${file} is out of date: npm run docs\n`);
    process.exitCode = 1;
  }
}
