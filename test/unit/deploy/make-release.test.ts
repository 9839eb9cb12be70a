import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { type Clone, PROTO, releasedClone } from '../../support/released-checkout.js';

const CHANGES = 'deploy/CHANGELOG.md';
const SECTION = `## 1.10.0 (2026-12-24)

### Callers

Use title instead of source_id.

### Consumers

Nothing.

### Operators

Nothing.

`;

/** A clone with something new, and ready for the release of it. */
function prepare(clone: Clone): string {
  clone.replace('package.json', ['1.2.0', '1.10.0']);
  clone.replace(CHANGES, ['## 1.2.0', `${SECTION}## 1.2.0`]);
  clone.write('schemas/alert-value/v3.avsc', '{ "type": "record", "name": "Alert", "fields": [] }\n');
  clone.replace(PROTO, ['string source_id = 4;', 'string source_id = 4 [deprecated = true];']);
  return clone.commit();
}

const recordOf = (clone: Clone) => JSON.parse(clone.read('deploy/release/release.json')) as Record<string, unknown>;

test('a release writes down its commit, and everything after it is held against that', async (t) => {
  const clone = await releasedClone(t);
  const commit = prepare(clone);

  const dry = await clone.run('release', '1.10.0', '--dry-run');
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, new RegExp(`^would release 1.10.0 \\(2026-12-24\\), commit ${commit}, after 1.2.0$`, 'm'));
  assert.match(dry.stdout, /^schemas that are new: +alert-value\/v3\.avsc$/m);
  assert.match(dry.stdout, /^migrations that are new: +none$/m);
  assert.match(dry.stdout, /^deprecated in protos, new: +sample\.v1\.GetAlertResponse\.4$/m);
  assert.equal(clone.git('status', '--porcelain'), '');

  const made = await clone.run('release', '1.10.0');
  assert.equal(made.code, 0, made.stderr);
  const { version, date, commit: written, deprecated } = recordOf(clone);
  assert.deepEqual([version, date, written], ['1.10.0', '2026-12-24', commit]);
  assert.deepEqual(deprecated, {
    'sample.v1.GetAlertResponse.4': '2026-12-24',
    'sample.v1.GetAlertResponse.7': '2026-06-30',
  });
  assert.equal(
    clone.git('status', '--porcelain').replace(/^ ?M /gm, ''),
    'deploy/release/protos.binpb\ndeploy/release/release.json',
  );

  // As it says; all but the push.
  const commands = /^ {2}git add[^]*?(?=^ {2}git push)/m.exec(made.stdout)![0];
  const name = { GIT_AUTHOR_NAME: 'Somebody', GIT_AUTHOR_EMAIL: 'somebody@example.com' };
  const committer = { GIT_COMMITTER_NAME: name.GIT_AUTHOR_NAME, GIT_COMMITTER_EMAIL: name.GIT_AUTHOR_EMAIL };
  execFileSync('bash', ['-ec', commands], { cwd: clone.folder, env: { ...process.env, ...name, ...committer } });
  assert.equal(clone.git('rev-parse', 'v1.10.0^{commit}'), commit);
  assert.equal(clone.git('rev-parse', 'HEAD^'), commit);
  assert.deepEqual(await clone.problems(), []);

  clone.replace('schemas/alert-value/v3.avsc', ['[]', '[ ]']);
  const [problem] = await clone.problems();
  assert.match(problem!, /^schemas\/alert-value\/v3\.avsc: has changed since release 1\.10\.0: .* in v4\.avsc$/);
});

test('a release that is not ready is refused, with what is to be done first', async (t) => {
  const clone = await releasedClone(t);
  const refusal = async (...args: string[]) => {
    const { code, stderr } = await clone.run('release', ...args);
    assert.equal(code, 1, stderr);
    assert.equal(recordOf(clone)['version'], '1.2.0');
    assert.doesNotMatch(stderr, /\n +at /);
    return stderr;
  };
  assert.match(await refusal(), /^usage: npm run release -- VERSION \[--dry-run\]$/m);
  assert.match(await refusal('1.3'), /^a version has three numbers, as 1\.2\.3: "1\.3" does not$/m);
  assert.match(await refusal('1.2.0'), /^1\.2\.0 was released: a version after it is greater, 1\.2\.0 is not$/m);
  assert.match(await refusal('1.10.0'), /^package\.json says 1\.2\.0: npm version 1\.10\.0 --no-git-tag-version/m);

  clone.replace('package.json', ['1.2.0', '1.10.0']);
  assert.match(await refusal('1.10.0'), /^what is released is a commit, .*: commit or remove\nM package\.json$/m);
  clone.commit();
  assert.match(
    await refusal('1.10.0'),
    /^deploy\/CHANGELOG\.md has no section "## 1\.10\.0 \(YYYY-MM-DD\)": name its/m,
  );

  clone.replace(CHANGES, ['## 1.2.0', `${SECTION}## 1.2.0`]);
  clone.replace('schemas/alert-value/v1.avsc', ['[]', '[ ]']);
  clone.commit();
  assert.match(
    await refusal('1.10.0', '--dry-run'),
    /^schemas\/alert-value\/v1\.avsc: has changed since.*\na check failed, see above: mend it, commit, and release that$/m,
  );
});
