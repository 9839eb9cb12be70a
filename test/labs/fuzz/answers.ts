import type { ServerResponse } from 'node:http';
import type { Random } from './random.js';

/** An answer to a request for a schema, given instead of the right one. */
export interface Answer {
  readonly kind: string;
  /** never: it ends only when the client gives up. */
  readonly slow: boolean;
  readonly give: (response: ServerResponse) => void;
}

const HUGE = 64 * 1_048_576;

const json = (body: unknown) => JSON.stringify(body);

function plain(kind: string, status: number, body: string | Buffer, type = 'application/json'): Answer {
  return {
    kind,
    slow: false,
    give: (response) => response.writeHead(status, { 'content-type': type }).end(body),
  };
}

/** An answer of a registry that misbehaves: none of them says that the schema does not exist. */
export function wrongAnswer(random: Random, right: string, slowToo: boolean): Answer {
  const good = json({ schema: right });
  const cut = random.int(0, good.length - 1);
  const kinds: (() => Answer)[] = [
    () => plain('HTML', 200, '<html>Sign in</html>', 'text/html'),
    () => plain('404 of a proxy', 404, '<html>Not Found</html>', 'text/html'),
    () => plain('404 of something else', 404, json({ error_code: 40401, message: 'Subject not found' })),
    () => plain('404 without a body', 404, ''),
    () => plain('no JSON', 200, random.bytes(random.int(0, 200))),
    () => plain('truncated JSON', 200, good.slice(0, cut)),
    () => plain('empty', 200, ''),
    () => plain('no content', 204, ''),
    () =>
      plain(
        'no schema',
        200,
        random.pick(['null', '{}', '[]', '5', '"text"', '{"schema":null}', '{"schema":5}', '{"schema":{}}']),
      ),
    () =>
      plain(
        'no Avro',
        200,
        json({ schema: random.pick(['', '{}', 'nonsense', '{"type":"nonsense"}', '[1]', 'null', '"noSuchType"']) }),
      ),
    () =>
      plain(
        '500',
        500,
        random.pick(['', 'null', '5', '"x"', '[]', json({ error_code: 50001, message: 'backend' }), '<html>']),
      ),
    () =>
      plain('503', 503, random.pick(['', json({ error_code: 50301, message: random.bytes(20).toString('latin1') })])),
    () => plain('429', 429, json({ error_code: 42900, message: 'slow down' })),
    () => plain('401', 401, json({ error_code: 40101, message: 'who are you' })),
    () => plain('403', 403, random.pick(['', 'null', json({ error_code: 'forty' })])),
    () => plain('redirect to itself', 302, ''),
    () => ({ kind: 'connection cut', slow: false, give: (response) => response.destroy() }),
    () => ({
      kind: 'cut in the middle',
      slow: false,
      give: (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': good.length });
        response.write(good.slice(0, cut), () => response.destroy());
      },
    }),
  ];
  if (random.chance(0.02)) kinds.push(() => ({ kind: 'huge', slow: false, give: giveHuge }));
  if (slowToo && random.chance(0.3)) {
    kinds.push(
      () => ({ kind: 'no answer', slow: true, give: () => undefined }),
      () => ({
        kind: 'never-ending',
        slow: true,
        give: (response) => {
          const timer = setInterval(() => response.write(' '), 20);
          response.on('close', () => clearInterval(timer));
        },
      }),
    );
  }
  return random.pick(kinds)();
}

/** As much as the other side takes. */
function giveHuge(response: ServerResponse): void {
  const piece = Buffer.alloc(65_536, ' ');
  let left = HUGE;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= piece.length;
      if (!response.write(piece)) return void response.once('drain', more);
    }
    response.end();
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  more();
}
