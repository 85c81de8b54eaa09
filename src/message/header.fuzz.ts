import assert from 'node:assert/strict';
import { parseDisposition, parseHeaderFields, parseMediaType, parseMessage } from './index.ts';

const text = (...lines: string[]): Uint8Array => Buffer.from(lines.join('\r\n'), 'latin1');

export const seeds: Uint8Array[] = [
  text('From: a', 'To: b', ' c', '', ''),
  text('no colon', ' folded', 'A : b', ':', ''),
  text('multipart/mixed; boundary="a b"; x*0*=u\'\'%41; x*1="b" (c)', ''),
  text("attachment; filename=a b.pdf; filename*=utf-8''%e4", ''),
];

/** A header's fields cover it without gaps and are those of the message; a value's parameters come without an exception. */
export const run = (data: Uint8Array): void => {
  const fields = parseHeaderFields(data);
  let at = 0;
  for (const { start, end } of fields) {
    assert.equal(start, at);
    assert.ok(end > start);
    at = end;
  }
  const { root } = parseMessage(data);
  assert.equal(at, root.blankStart);
  assert.deepEqual(fields, root.fields.slice(0, fields.length));
  const value = Buffer.from(data).toString('latin1');
  parseMediaType(value);
  parseDisposition(value);
};
