import assert from 'node:assert/strict';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { main } from '../../../services/cli/cli.js';
import { DEFINITIONS } from '../../../services/gen/definitions.js';
import { fakeService, type Handlers, refuse, type StreamCall } from '../client/fake-service.js';
import { fakeContext } from './fake-context.js';
import { serveRole } from './fake-roles.js';

/** All that a terminal obeys, in one text. */
const HOSTILE = 'a\u001b[31m\u001b]0;x\u0007\r\b\u007f\u009b2J\u061c\u200f\u202e\u2066\u2028b';
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
/** What we write ourselves: colours, and how top and a line of progress move. */
const OURS = /\u001b\[(\d+(;\d+)*m|[HKJ]|\?1049[hl]|\?25[hl])|\r(?=\n|\u001b\[K)/g;

const root = protobuf.Root.fromJSON(DEFINITIONS).resolveAll();

/** A message in which every text is hostile. */
function filled(type: protobuf.Type): Record<string, unknown> {
  return Object.fromEntries(
    type.fieldsArray.map((field) => {
      const value = valueOf(field);
      if (field instanceof protobuf.MapField) return [field.name, { [HOSTILE]: value }];
      return [field.name, field.repeated ? [value] : value];
    }),
  );
}

function valueOf({ type, resolvedType }: protobuf.Field): unknown {
  if (type === 'string') return HOSTILE;
  if (type === 'bool') return false;
  if (resolvedType instanceof protobuf.Type) return filled(resolvedType);
  return resolvedType === null ? 7 : 1;
}

/** Answers every method with hostile texts, or refuses it with them. */
function handlers(refuses: boolean): Handlers {
  const services = root.nestedArray.flatMap(function find(each): protobuf.Service[] {
    if (each instanceof protobuf.Service) return [each];
    return each instanceof protobuf.Namespace ? each.nestedArray.flatMap(find) : [];
  });
  const all = services
    .flatMap((service) => service.methodsArray)
    .map((method) => {
      const response = () => filled(method.resolvedResponseType!);
      const refusal = { code: grpc.status.INVALID_ARGUMENT, details: HOSTILE };
      const stream = (call: StreamCall) => {
        if (refuses) return refuse(call, refusal);
        call.write(response());
        setTimeout(() => refuse(call, refusal), 50);
      };
      const unary = (_call: unknown, done: grpc.sendUnaryData<unknown>) => {
        if (refuses) done(refusal);
        else done(null, response());
      };
      return [method.name, method.responseStream === true ? stream : unary] as const;
    });
  return Object.fromEntries(all);
}

/** Every command that shows what others wrote, also as JSON. */
const SHOWING: readonly string[][] = [
  ['alerts', 'get', '7'],
  ['alerts', 'trace', '7'],
  ['alerts', 'watch', '--user', 'op01', '--from', 'start'],
  ['inbox', 'list', '--user', 'op01', '--limit', '1'],
  ['devices', 'list', '--user', 'op01'],
  ['devices', 'register', '--user', 'op01', '--platform', 'WEB', '--token', 'a:b'],
  ['alerts', 'create', '--kind', 'OTHER', '--level', 'INFO', '--app', 'a', '--title', 'b'],
  ['alerts', 'create', '--file', '-'],
  ['top', '--once', '--interval', '0.1'],
];
/** What the user, or a script, gives. */
const GIVEN: readonly string[][] = [
  [HOSTILE],
  [`--${HOSTILE}`],
  ['alerts', 'get', HOSTILE],
  ['alerts', 'watch', '--user', 'op01', '--kind', HOSTILE],
  ['alerts', 'create', '--file', HOSTILE],
  ['alerts', 'create', '--label', HOSTILE, '--kind', 'OTHER', '--level', 'INFO', '--app', 'a', '--title', 'b'],
  ['directory', 'load', HOSTILE],
  ['inbox', 'list', '--user', 'op01', '--address', HOSTILE],
  ['inbox', 'list', '--user', 'op01', '--token-file', HOSTILE],
  ['dlq', 'show', HOSTILE],
  ['run', HOSTILE],
  ['kafka', 'acls', '--user-prefix', HOSTILE.replaceAll(/\s/g, '')],
  ['kafka', 'acls', '--user-prefix', HOSTILE.replaceAll(/\s/g, ''), '--json'],
  ['kafka', 'acls', '--principal', `fanout=User:${HOSTILE.replaceAll(/\s/g, '')}`, '--json'],
];

test('no command lets a terminal obey what others wrote, whether it shows it or is refused', async (t) => {
  const checks = { [HOSTILE]: { ok: false, required: true, reason: HOSTILE } };
  const metrics = () => [`ssom_kafka_lag{topic="${HOSTILE}"} 7`, `ssom_breaker_state{name="${HOSTILE}"} 2`];
  const roles = await serveRole(t, 'alert-api', metrics, checks);
  const shown: string[] = [];
  for (const refuses of [false, true]) {
    const address = await fakeService(t, handlers(refuses));
    for (const command of SHOWING)
      for (const json of command[0] === 'devices' && command[1] === 'register' ? [[]] : [[], ['--json']])
        for (const terminal of [false, true]) {
          const environment = { SSOM_ADDRESS: address, SSOM_ROLES: roles };
          const stdin = JSON.stringify({ kind: 'OTHER', level: 'INFO', appName: 'a', title: HOSTILE, [HOSTILE]: 1 });
          const context = fakeContext({ environment, terminal, stdin });
          await main([...command, ...json], context);
          const said = (context.out() + context.err()).replace(OURS, '');
          assert.notEqual(said, '');
          assert.doesNotMatch(said, OBEYED, `${[...command, ...json].join(' ')}: ${JSON.stringify(said)}`);
          if (json.length > 0 && !refuses) shown.push(context.out());
        }
  }
  assert.ok(
    shown.join('').includes(String.raw`\u001b[31m\u001b]0;x\u0007\r\b\u007f\u009b2J\u061c`),
    'JSON says all of it',
  );
  for (const command of GIVEN) {
    const context = fakeContext({ environment: { SSOM_ADDRESS: '127.0.0.1:1' } });
    await main(command, context);
    assert.doesNotMatch(context.out() + context.err(), OBEYED, command.join(' '));
  }
});
