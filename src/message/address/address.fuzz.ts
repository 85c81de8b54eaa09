import assert from 'node:assert/strict';
import { addressKey, mailboxesOf, parseAddressList, parseEnvelopeAddress } from './index.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text);

export const seeds: Uint8Array[] = [
  utf8('"A, B" <a@b>, g: c@d, <@r:e@f>; (x) y@[192.0.2.1]'),
  utf8('李明 <李明@例子.测试>'),
  utf8('a.b+c@example.org'),
  utf8('"a \\" b"@example.org'),
  utf8('a@[IPv6:2001:db8::1]'),
];

/** A list of any text has well-formed entries; a key is its own key. */
export const run = (data: Uint8Array): void => {
  for (const text of [Buffer.from(data).toString(), Buffer.from(data).toString('latin1')]) {
    for (const { name, localPart, domain } of mailboxesOf(parseAddressList(text))) {
      for (const part of [name, localPart, domain]) assert.ok(part === null || part.length <= text.length);
    }
    parseEnvelopeAddress(text);
    const key = addressKey(text);
    if (key !== null) assert.equal(addressKey(key), key);
  }
};
