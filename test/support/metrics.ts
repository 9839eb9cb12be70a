import { patience } from './until-true.js';

/** One number of a page of /metrics, summed over its labels; 0 if it is not there. */
export function metricIn(page: string, name: string): number {
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce(
      (sum, line) =>
        sum +
        Number(
          line
            .slice(line.lastIndexOf('}') + 1)
            .trim()
            .split(' ')[0],
        ),
      0,
    );
}

/** The same of a role or a service that listens there. */
export async function metricOf(http: string, name: string): Promise<number> {
  const response = await fetch(`http://${http}/metrics`, { signal: AbortSignal.timeout(patience(5000)) });
  return metricIn(await response.text(), name);
}
