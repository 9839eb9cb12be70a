// Generates services/gen from protos and schemas. With --check it changes nothing and fails if they differ.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { eventTypes } from '../schemas/generate-types.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'services/gen');
const check = process.argv.includes('--check');
const out = check ? mkdtempSync(join(tmpdir(), 'ssom-types-')) : target;

const files = ['alert', 'inbox', 'device', 'directory', 'alert_stream'].map(
  (name) => `ssom/alert/v1/${name}_service.proto`,
);
// These options must be the ones of LOADER_OPTIONS in services/api/protos.ts.
const options = ['--longs=Number', '--enums=String', '--defaults', '--oneofs', '--includeComments'];
const format = ['--grpcLib=@grpc/grpc-js', '--targetFileExtension=.ts', '--importFileExtension=.js'];

if (!check) rmSync(target, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [
    join(root, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js'),
    ...options,
    ...format,
    '--includeDirs=proto',
    `--outDir=${out}`,
    ...files,
  ],
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
);

// One place to import from, with no program behind it.
const exported = ['google/protobuf', 'ssom/alert/v1'].flatMap((folder) =>
  readdirSync(join(out, folder))
    .sort()
    .map((file) => {
      const source = readFileSync(join(out, folder, file), 'utf8');
      const names = [...source.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name);
      return `export type { ${names.join(', ')} } from './${folder}/${basename(file, '.ts')}.js';\n`;
    }),
);
writeFileSync(join(out, 'types.ts'), `/** All messages, enums and services. */\n${exported.join('')}`);

// What reflection tells: the real descriptors, since the ones that proto-loader rebuilds lack imports and map entries.
const buf = join(root, 'node_modules/@bufbuild/buf/bin/buf');
const describe = (folder, ...options) =>
  execFileSync(
    process.execPath,
    [
      buf,
      'build',
      folder,
      '--as-file-descriptor-set',
      '--exclude-source-info',
      '--output',
      '-#format=binpb',
      ...options,
    ],
    { cwd: root },
  );
// A tool shows the details of an error only if reflection tells what they are. (Of firebase-admin's dependencies.)
const GOOGLE = 'node_modules/google-gax/build/protos';
const ERRORS = ['google/rpc/status.proto', 'google/rpc/error_details.proto', 'google/protobuf/any.proto'];
// Protobuf messages merge by concatenation.
const descriptors = Buffer.concat([
  describe('proto'),
  describe('node_modules/grpc-health-check/proto'),
  describe(GOOGLE, '--exclude-imports', ...ERRORS.flatMap((file) => ['--path', `${GOOGLE}/${file}`])),
]);
const lines = descriptors
  .toString('base64')
  .match(/.{1,110}/g)
  .map((line) => `  '${line}',\n`);
writeFileSync(
  join(out, 'descriptor-set.ts'),
  `/** A google.protobuf.FileDescriptorSet of all proto files, of grpc.health.v1 and of google.rpc's errors, in base64. */\nexport const DESCRIPTOR_SET = [\n${lines.join('')}].join('');\n`,
);

// What clients and servers load, compiled in: so the client finds it wherever it is installed or bundled.
const definitions = new protobuf.Root();
definitions.resolvePath = (_origin, target) => (target.startsWith('google/') ? target : join(root, 'proto', target));
definitions.loadSync(files);
writeFileSync(
  join(out, 'definitions.ts'),
  `import type { INamespace } from 'protobufjs';\n\n/** All proto files in protobufjs's own form. */\n` +
    `export const DEFINITIONS = ${JSON.stringify(definitions.toJSON(), undefined, 1)} as object as INamespace;\n`,
);

writeFileSync(join(out, 'events.ts'), eventTypes(join(root, 'schemas')));

if (check) {
  const read = (dir) =>
    new Map(
      readdirSync(dir, { recursive: true })
        .filter((file) => statSync(join(dir, file)).isFile())
        .map((file) => [file, readFileSync(join(dir, file), 'utf8')]),
    );
  const [fresh, kept] = [read(out), read(target)];
  rmSync(out, { recursive: true });
  const differing = [...new Set([...fresh.keys(), ...kept.keys()])].filter(
    (file) => fresh.get(file) !== kept.get(file),
  );
  if (differing.length > 0) {
    console.error(
      `services/gen is not what proto/ and schemas/ say; run: npm run generate\n  ${differing.join('\n  ')}`,
    );
    process.exit(1);
  }
}
