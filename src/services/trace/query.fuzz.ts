import assert from 'node:assert/strict';
import { envelopeFields, prefixFields, readQuery } from './index.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text);

export const seeds: Uint8Array[] = [
  utf8('from:ann@example.org\nto:@example.com\nsince:2026-11-24T10:15Z'),
  utf8('192.0.2.0/24\nyesterday\ncode:5.1.1'),
  utf8('2001:db8::/32\n<a.b@c.example>\nis:refused'),
  utf8('(NIL "s" (("A \\" B" NIL "a" "b.example")) NIL NIL NIL NIL NIL NIL {7}\r\n<i@d.x>)'),
  utf8(
    'Return-Path: <a@b>\r\nReceived: from h (n [IPv6:::1]) by x with ESMTPS (using TLSv1.3 with cipher y) id z\r\n',
  ),
];

/** Whatever comes, it is a query or a mistake, fields or none. */
export const run = (data: Uint8Array): void => {
  const text = Buffer.from(data).toString();
  const read = readQuery(text.split('\n'), { nowMs: 1_795_000_000_000, offsetMinutes: () => -90 });
  if (read.kind === 'query')
    for (const term of read.query.terms) assert.ok(term.length > 0, 'a term that nothing meets');
  const { author, messageId } = envelopeFields(data);
  for (const field of [author, messageId]) assert.ok(field === null || !/\p{Cc}/u.test(field));
  const { peer } = prefixFields(data);
  assert.match(peer, /^[0-9a-fA-F:.]*$/);
};
