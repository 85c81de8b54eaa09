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
