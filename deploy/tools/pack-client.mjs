// Makes the npm package that callers install: the client alone, in CommonJS, which every Node and bundler can import
// and require alike. The checkout's own package brings the whole service, whose Kafka client has to be compiled.
//
//   node deploy/tools/pack-client.mjs          into .build-client/, with the tarball beside
//   node deploy/tools/pack-client.mjs FOLDER   into FOLDER
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { npmCli, ROOT } from './setup/common.mjs';

const CLIENT = join(ROOT, 'services', 'client');
const ENTRY = 'client/index';
const target = resolve(process.argv[2] ?? join(ROOT, '.build-client'));
const folder = join(target, 'package');

rmSync(target, { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', join(CLIENT, 'tsconfig.package.json'), '--outDir', folder], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const { files, packages } = reachable(join(folder, `${ENTRY}.js`));
removeOthers(files);
writeManifest(packages);
copyFileSync(join(CLIENT, 'README.md'), join(folder, 'README.md'));
execFileSync(process.execPath, [npmCli(), 'pack', folder, '--pack-destination', target, '--loglevel', 'error'], {
  stdio: ['ignore', 'inherit', 'inherit'],
});

/**
 * What a compiled file needs when it runs.
 *
 * @param {string} entry
 * @returns {{ files: Set<string>, packages: string[] }} of other packages those that Node does not bring
 */
function reachable(entry) {
  const files = new Set([entry]);
  /** @type {Set<string>} */
  const packages = new Set();
  for (const file of files) {
    for (const [, wanted = ''] of readFileSync(file, 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)) {
      if (wanted.startsWith('.')) files.add(resolve(dirname(file), wanted));
      else if (!wanted.startsWith('node:')) packages.add(wanted);
    }
  }
  return { files, packages: [...packages].sort() };
}

/** Modules of types alone leave an empty one behind. */
function removeOthers(/** @type {Set<string>} */ needed) {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, name);
    if (file.endsWith('.js') && !needed.has(file)) rmSync(file);
  }
}

/** Versions and ranges are the checkout's. */
function writeManifest(/** @type {string[]} */ packages) {
  const checkout = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const { name, version, license, engines } = checkout;
  const manifest = {
    name,
    version,
    description: "The client of SSOM's alert service: alerts created once, inboxes streamed without a gap",
    license,
    engines,
    main: `./${ENTRY}.js`,
    types: `./${ENTRY}.d.ts`,
    exports: {
      '.': { types: `./${ENTRY}.d.ts`, default: `./${ENTRY}.js` },
      './package.json': './package.json',
    },
    dependencies: Object.fromEntries(packages.map((needed) => [needed, checkout.dependencies[needed]])),
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}
