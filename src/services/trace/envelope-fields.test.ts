import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { createMessageParser } from '#services/mailstore';
import { envelopeFields, prefixFields } from './index.ts';

const fieldsOf = (header: string) => {
  const parser = createMessageParser();
  parser.write(utf8(`${header}\r\n\r\ntext\r\n`));
  return envelopeFields(parser.end().envelope);
};

test('author and Message-ID are those of the header, whatever stands around them', () => {
  assert.deepEqual(fieldsOf('From: "A \\"B\\" C" <a@b.example>, d@e.example\r\nMessage-ID: <1@x.example>'), {
    author: 'a@b.example',
    messageId: '1@x.example',
  });
  assert.deepEqual(fieldsOf('From: 李明 <李明@例子.测试>\r\nMessage-ID:\r\n <long@x\r\n .example>'), {
    author: '李明@例子.测试',
    messageId: 'long@x.example',
  });
  assert.deepEqual(fieldsOf('From: Team: a@b.example;\r\nMessage-ID: bare'), {
    author: 'a@b.example',
    messageId: 'bare',
  });
  assert.deepEqual(fieldsOf('Subject: (("x'), { author: null, messageId: null });
});

test('octets that are no envelope have no fields', () => {
  for (const text of ['', 'NIL', '(', '("', '({9}\r\nx)', '('.repeat(10_000), '(NIL NIL "x")'])
    assert.deepEqual(envelopeFields(utf8(text)), { author: null, messageId: null });
});

test('a copy’s own trace fields tell the way here', () => {
  const received = (from: string): ReturnType<typeof prefixFields> =>
    prefixFields(utf8(`Return-Path: <a@b.example>\r\nDelivered-To: x@y\r\nReceived: ${from}; now\r\n`));
  const way = { mailFrom: 'a@b.example', port: 0 };
  assert.deepEqual(
    received(
      'from h.example (mx.b.example [192.0.2.7]) by us with ESMTPS (using TLSv1.3 with cipher C) id i',
    ),
    {
      ...way,
      helo: 'h.example',
      reverse: 'mx.b.example',
      peer: '192.0.2.7',
      protocol: 'ESMTPS',
      tls: 'TLSv1.3',
    },
  );
  assert.deepEqual(
    received('from h ([IPv6:2001:db8::1]) (as [192.0.2.1] says by XCLIENT) by us with SMTP id i'),
    {
      ...way,
      helo: 'h',
      reverse: null,
      peer: '2001:db8::1',
      protocol: 'SMTP',
      tls: null,
    },
  );
  assert.deepEqual(received('by us (from userid 0) with LOCAL id i'), {
    ...way,
    helo: null,
    reverse: null,
    peer: '',
    protocol: 'LOCAL',
    tls: null,
  });
  assert.equal(prefixFields(new Uint8Array(0)).mailFrom, null);
});
