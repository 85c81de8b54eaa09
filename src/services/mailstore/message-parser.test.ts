import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { createMessageParser } from '#services/mailstore';

const keysOf = (header: string): readonly string[] => {
  const parser = createMessageParser();
  parser.write(utf8(`${header}\r\n\r\nbody\r\n`));
  return parser.end().threadKeys;
};

test('a reply shares a thread key with what it answers, in both languages; another subject or an id alone does not (RFC 8621 §3)', () => {
  const [first = ''] = keysOf('Message-ID: <1@x>\r\nSubject: Offer');
  assert.match(first, /^[0-9a-f]{32}$/);
  for (const subject of ['Re: Offer', 'RE: re: Offer', '回复：Offer', '答复: Offer', 'Fwd: [list] Offer']) {
    const keys = keysOf(`Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: ${subject}`);
    assert.ok(keys.includes(first), subject);
  }
  assert.ok(!keysOf('Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Lunch').includes(first));
  assert.deepEqual(keysOf('Subject: Offer'), []);
});

test('a thousand references leave a bounded number of keys, the own id first', () => {
  const references = Array.from({ length: 1_000 }, (_, at) => `<${at}@x>`).join(' ');
  const keys = keysOf(`Message-ID: <me@x>\r\nReferences: ${references}\r\nSubject: a`);
  assert.ok(keys.length <= 101);
  assert.equal(keys[0], keysOf('Message-ID: <me@x>\r\nSubject: a')[0]);
});

test('the preview is the same in every chunking, also when pieces come in one buffer that is used again (RFC 8970 §3.1)', () => {
  const mail = utf8(
    `Subject: a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>您好 &amp; hello</p>${' '.repeat(500)}<p>世界</p>\r\n`,
  );
  for (const size of [1, 2, 3, 7, 64, 1_000]) {
    const parser = createMessageParser();
    const buffer = new Uint8Array(size);
    for (let at = 0; at < mail.length; at += size) {
      const piece = mail.subarray(at, at + size);
      buffer.set(piece);
      parser.write(buffer.subarray(0, piece.length));
      buffer.fill(0);
    }
    assert.equal(parser.end().preview, '您好 & hello 世界', String(size));
  }
});

test('of a large message the first 64 KiB are kept and no more', () => {
  const parser = createMessageParser();
  parser.write(utf8('Subject: a\r\n\r\nfirst words\r\n'));
  assert.ok(parser.heldBytes < 100);
  for (let n = 0; n < 100; n++) parser.write(new Uint8Array(65_536).fill(0x61));
  assert.equal(parser.heldBytes, 65_536);
  assert.match(parser.end().preview, /^first words a{188}$/);
});
