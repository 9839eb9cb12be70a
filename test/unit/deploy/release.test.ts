import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { PROTO, releasedClone, releaseScripts } from '../../support/released-checkout.js';

interface ReleaseRecord extends Record<string, unknown> {
  version: string;
  date: string;
  commit: string;
  deprecated: Record<string, string>;
}

const recordIn = (text: string) => JSON.parse(text) as ReleaseRecord;

test('what was written down of the last release is what its commit has', async () => {
  const record = recordIn(readFileSync(join(ROOT, 'deploy/release/release.json'), 'utf8'));
  const { recordOf } = await releaseScripts(ROOT);
  const made = await recordOf(ROOT, record, record.deprecated);
  assert.deepEqual(made.record, record);
  assert.deepEqual(Object.keys(made.record['migrations'] as object), Object.keys(record['migrations'] as object));
  assert.deepEqual(made.image, readFileSync(join(ROOT, 'deploy/release/protos.binpb')));
});

test('what is new beside what was released is taken', async (t) => {
  const clone = await releasedClone(t);
  clone.write('schemas/alert-value/v3.avsc', '{ "type": "record", "name": "Alert", "fields": [] }\n');
  clone.write('schemas/new-value/v1.avsc', '{ "type": "record", "name": "New", "fields": [] }\n');
  clone.write('services/store/migrations/0003-third.ts', "export const name = '0003-third';\n");
  clone.replace(
    'services/store/migrate.ts',
    ["0002-second.js';", "0002-second.js';\nimport * as third from './migrations/0003-third.js';"],
    ['const MIGRATIONS = [first, second]', 'export const MIGRATIONS: readonly Migration[] = [first, second, third]'],
  );
  clone.replace(
    PROTO,
    ['  string text = 5;', '  string text = 5;\n  string link = 8;'],
    ['  LEVEL_ERROR = 3;', '  LEVEL_ERROR = 3;\n  LEVEL_CRITICAL = 4;'],
    ['  rpc Watch', '  rpc FindAlert(GetAlertRequest) returns (GetAlertResponse);\n  rpc Watch'],
    ['string source_id = 4;', 'string source_id = 4 [deprecated = true];'],
  );
  clone.replace('deploy/CHANGELOG.md', [
    '## 1.2.0',
    '## Unreleased\n\n### Callers\n\nNothing.\n\n### Consumers\n\nNothing.\n\n### Operators\n\nNothing.\n\n## 1.2.0',
  ]);
  assert.deepEqual(await clone.problems(), []);
});

test('a schema or migration that was released and changed is refused, and where the change belongs is said', async (t) => {
  const clone = await releasedClone(t);
  clone.replace('schemas/alert-value/v1.avsc', ['[]', '[ ]']);
  clone.remove('schemas/user-value/v1.avsc');
  clone.replace('services/store/migrations/0001-first.ts', ["';", "'; // changed"]);
  clone.remove('services/store/migrations/0002-second.ts');
  const { commit } = recordIn(clone.read('deploy/release/release.json'));
  const back = `git checkout ${commit.slice(0, 12)} --`;
  const inKafka = 'records that were written with it lie in Kafka, and registries have it under an id of its own';
  const differ = 'databases that have applied it would differ from new ones';
  const atTheEnd = 'and make the change in a new migration at the end of the list';
  assert.deepEqual(await clone.problems(), [
    `schemas/alert-value/v1.avsc: has changed since release 1.2.0: ${inKafka}: ${back} schemas/alert-value/v1.avsc, and make the change in v3.avsc`,
    `schemas/user-value/v1.avsc: is gone since release 1.2.0: ${inKafka}: ${back} schemas/user-value/v1.avsc, and make the change in v2.avsc`,
    `services/store/migrations/0001-first.ts: has changed since release 1.2.0: ${differ}: ${back} services/store/migrations/0001-first.ts, ${atTheEnd}`,
    `services/store/migrations/0002-second.ts: is gone since release 1.2.0: ${differ}: ${back} services/store/migrations/0002-second.ts, ${atTheEnd}`,
  ]);
});

test('a migration is put at the end of the list, and none is taken out of it', async (t) => {
  const clone = await releasedClone(t);
  const file = 'services/store/migrate.ts';
  const problemWith = async (list: string) => {
    clone.replace(file, ['[first, second]', list]);
    const problems = await clone.problems();
    clone.git('checkout', '--', file);
    assert.equal(problems.length, 1, problems.join('\n'));
    return problems[0]!;
  };
  clone.write('services/store/migrations/0000-early.ts', "export const name = '0000-early';\n");
  clone.replace(file, ['\n\nconst', "\nimport * as early from './migrations/0000-early.js';\n\nconst"]);
  clone.commit();
  const order = (name: string) =>
    new RegExp(`^${file}: ${name} stands before 0001-first, .*: put what is new at the end of the list`);
  assert.match(await problemWith('[early, first, second]'), order('0000-early'));
  assert.match(await problemWith('[second, first]'), order('0002-second'));
  assert.match(
    await problemWith('[second]'),
    /^services\/store\/migrations\/0001-first\.ts: is not in the list any more/,
  );
  assert.match(await problemWith('[first, ...others]'), /migrate\.ts: the list MIGRATIONS of modules .* is not there$/);
});

test('a proto that breaks a client is refused, with its line and what is right instead', async (t) => {
  const clone = await releasedClone(t);
  clone.replace(
    PROTO,
    ['returns (stream GetAlertResponse)', 'returns (GetAlertResponse)'],
    ['  LEVEL_INFO = 1;\n', ''],
    ['LEVEL_WARNING = 2', 'LEVEL_WARN = 2'],
    ['  reserved 2;\n  reserved "caller";\n', ''],
    ['  int64 alert_id = 1;\n  string title = 2;', '  string title = 12;'],
    ['string app_name = 3;', 'int64 app_name = 3;'],
    ['string source_id = 4;', 'string source_id = 4 [json_name = "source"];'],
    ['string text = 5;', 'repeated string text = 5;'],
    ['Level level = 6;', 'Level urgency = 6;'],
  );
  const early =
    'put it back under its number, marked [deprecated = true]: it may go 2 years after the release that marks it so';
  const reserved = 'put it back: an old client or a stored message may still use that number or name';
  const inJson = 'keep the name that it has in JSON: clients that speak JSON know it by that';
  const beside = 'and add a field with the next free number beside it; fill both';
  const expected = [
    `7: RPC "WatchAlerts" on service "AlertService" changed from server streaming to server unary: leave it as it was, and add another rpc beside it`,
    `10: Previously present enum value "1" on enum "Level" was deleted: ${early}`,
    `12: Enum value "2" on enum "Level" changed name from "LEVEL_WARNING" to "LEVEL_WARN": keep its name: clients that speak JSON know it by that; a better one is a new value`,
    `16: Previously present reserved name "caller" on message "GetAlertRequest" was deleted: ${reserved}`,
    `16: Previously present reserved range "[2]" on message "GetAlertRequest" is missing values: [2] were removed: ${reserved}`,
    `20: Previously present field "1" with name "alert_id" on message "GetAlertResponse" was deleted: ${early}`,
    `20: Previously present field "2" with name "title" on message "GetAlertResponse" was deleted: ${early}`,
    `22: Field "3" with name "app_name" on message "GetAlertResponse" changed type from "string" to "int64": keep its type, ${beside}`,
    `23: Field "4" with name "source_id" on message "GetAlertResponse" changed option "json_name" from "sourceId" to "source": ${inJson}`,
    `24: Field "5" with name "text" on message "GetAlertResponse" changed cardinality from "optional with implicit presence" to "repeated": leave it as it was, ${beside}`,
    `25: Field "6" on message "GetAlertResponse" changed name from "level" to "urgency": keep its name, or mark it [deprecated = true] and add a field of the new name beside it`,
    `25: Field "6" with name "urgency" on message "GetAlertResponse" changed option "json_name" from "level" to "urgency": ${inJson}`,
  ];
  assert.deepEqual(await clone.problems(), expected.map((problem) => `${PROTO}:${problem}`).sort());
});

test('an rpc, a message and a file stay', async (t) => {
  const clone = await releasedClone(t);
  clone.replace(PROTO, ['  rpc WatchAlerts(GetAlertRequest) returns (stream GetAlertResponse);\n', '']);
  clone.replace(PROTO, [clone.read(PROTO).slice(clone.read(PROTO).indexOf('message GetAlertResponse')), '']);
  clone.replace(PROTO, ['returns (GetAlertResponse)', 'returns (GetAlertRequest)']);
  const problems = (await clone.problems()).join('\n');
  assert.match(
    problems,
    /:5: .*"WatchAlerts".* deleted: keep it, marked option deprecated = true; it must answer as it did$/m,
  );
  assert.match(problems, /message "GetAlertResponse" was deleted from file: put it back where it was/);
  assert.match(problems, /changed response type .*: leave it as it was, and add another rpc beside it$/m);
  clone.git('mv', PROTO, 'proto/sample/v1/other.proto');
  assert.match(
    (await clone.problems()).join('\n'),
    /^proto:1: .*sample\.proto" was deleted: put it back where it was/m,
  );
});

test('what was deprecated goes two years after its release, and leaves its number and name reserved', async (t) => {
  const clone = await releasedClone(t);
  const file = 'deploy/release/release.json';
  assert.deepEqual(recordIn(clone.read(file)).deprecated, { 'sample.v1.GetAlertResponse.7': '2026-06-30' });
  const since = (years: number) => {
    const day = new Date();
    day.setUTCFullYear(day.getUTCFullYear() - years);
    return day.toISOString().slice(0, 10);
  };
  const deprecated = (day: string) =>
    clone.write(
      file,
      JSON.stringify({ ...recordIn(clone.read(file)), deprecated: { 'sample.v1.GetAlertResponse.7': day } }),
    );
  clone.replace(PROTO, ['  string old_title = 7 [deprecated = true];\n', '']);

  deprecated(since(1));
  const [early, ...more] = await clone.problems();
  assert.match(early!, new RegExp(`put it back: it is deprecated since ${since(1)}, and may go on ${since(-1)}$`));
  assert.deepEqual(more, []);

  deprecated(since(2));
  const unreserved = await clone.problems();
  assert.equal(unreserved.length, 2);
  for (const problem of unreserved)
    assert.match(problem, /without reserving the (name|number) .*: reserve both where it was, as in: reserved 9;/);

  clone.replace(PROTO, ['message GetAlertResponse {', 'message GetAlertResponse {\n  reserved 7;']);
  assert.match((await clone.problems()).join('\n'), /^[^\n]*without reserving the name "old_title"[^\n]*$/);
  clone.replace(PROTO, ['  reserved 7;', '  reserved 7;\n  reserved "old_title";']);
  assert.deepEqual(await clone.problems(), []);
});

test('a proto that is formatted otherwise, or does not compile, is named', async (t) => {
  const clone = await releasedClone(t);
  clone.replace(PROTO, ['  string text', '    string  text']);
  assert.deepEqual(await clone.problems(), [`${PROTO}: is not formatted as all protos are: npx buf format -w`]);
  clone.replace(PROTO, ['    string  text', '  Text text']);
  assert.deepEqual(await clone.problems(), [`${PROTO}:28: cannot find \`Text\` in this scope`]);
});

test('a section of the changelog says what each reader has to do', async (t) => {
  const clone = await releasedClone(t);
  const file = 'deploy/CHANGELOG.md';
  const complete = '### Callers\n\nA.\n\n### Consumers\n\nB.\n\n### Operators\n\nC.\n\n';
  clone.replace(file, [
    '## 1.2.0',
    `## 1.1.0 (2026-01-01)\n\n${complete}## Unreleased\n\n${complete.replace('B.', '')}## 1.0.0\n\nAll is new.\n\n## 1.10.0`,
  ]);
  assert.deepEqual(await clone.problems(), [
    `${file}: "1.0.0": a section is named as 1.2.3 (2026-12-24), and before its release, at the top, Unreleased`,
    `${file}: "Unreleased": a section is named as 1.2.3 (2026-12-24), and before its release, at the top, Unreleased`,
    `${file}: 1.0.0: its headings are ### Callers, ### Consumers, ### Operators, in this order, and under each what they must do; "Nothing." too`,
    `${file}: 1.10.0 stands below an older release: the newest is the first`,
    `${file}: 1.2.0 was released, and has no section any more: put it back`,
    `${file}: Unreleased, Consumers: is empty; "Nothing." says it`,
  ]);
});

test('a record that was changed by hand, or is gone, is no record', async (t) => {
  const clone = await releasedClone(t);
  const says =
    /^deploy\/release: release\.json and protos\.binpb do not belong together, .*: git checkout HEAD -- deploy/;
  for (const breach of [
    () => clone.write('deploy/release/protos.binpb', ''),
    () => clone.remove('deploy/release/protos.binpb'),
    () => clone.write('deploy/release/release.json', '{ "version"'),
  ]) {
    breach();
    const problems = await clone.problems();
    assert.equal(problems.length, 1);
    assert.match(problems[0]!, says);
    clone.git('checkout', '--', 'deploy/release');
  }
  assert.deepEqual(await clone.problems(), []);
});
