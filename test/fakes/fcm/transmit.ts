import type { ServerResponse } from 'node:http';
import type { Rule } from './control-types.js';
import type { Answer } from './google-errors.js';

const NOT_JSON = 'upstream connect error or disconnect/reset before headers';
const HTML =
  '<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Error 502 (Server Error)!!1</title>\n' +
  '<p><b>502.</b> <ins>That’s an error.</ins>\n<p>The server encountered a temporary error.</html>\n';

/** The status that the client hears under this rule; 0 when it hears nothing. */
export function statusHeard(answer: Answer, { cut, malformed, status }: Rule = {}): number {
  if (cut === 'before' || cut === 'unheard') return 0;
  if (malformed === undefined) return answer.status;
  return status ?? (malformed === 'html' ? 502 : answer.status);
}

/** Sends the answer, damaged as the rule says. */
export function transmit(response: ServerResponse, answer: Answer, rule: Rule = {}): void {
  const status = statusHeard(answer, rule);
  const body = Buffer.from(answer.body);
  const send = (content: Buffer | string, length = Buffer.byteLength(content), type?: string) => {
    const headers = { ...answer.headers, ...(type !== undefined && { 'content-type': type }) };
    response.writeHead(status, { ...headers, 'content-length': length });
    return response.end(content);
  };
  const half = body.subarray(0, body.length / 2);

  if (rule.cut === 'before' || rule.cut === 'unheard') response.socket?.resetAndDestroy();
  else if (rule.cut === 'middle') {
    response.writeHead(status, { ...answer.headers, 'content-length': body.length });
    response.write(half, () => response.socket?.destroy());
  } else if (rule.cut === 'after') {
    send(body).once('finish', () => response.socket?.destroy());
  } else if (rule.malformed === 'not-json') send(NOT_JSON);
  else if (rule.malformed === 'empty') send('');
  else if (rule.malformed === 'html') send(HTML, undefined, 'text/html; charset=UTF-8');
  else if (rule.malformed === 'half') send(half);
  else if (rule.malformed === 'length-too-long') send(body, body.length + 100);
  else if (rule.malformed === 'length-too-short') send(body, half.length);
  else send(body);
}
