import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseReceived, type ReceivedHop, receivedLimits } from './index.ts';
import { run, seeds } from './received.fuzz.ts';

const none: ReceivedHop = {
  from: null,
  fromComment: null,
  by: null,
  byComment: null,
  via: null,
  with: null,
  id: null,
  for: null,
  date: null,
};
const hop = (value: string) => {
  const { date, ...rest } = parseReceived(value);
  return { ...rest, date: date === null ? null : new Date(date.epochMs).toISOString() };
};

test('what Postfix, Exim, Exchange and others write is told apart (RFC 5321 §4.4)', () => {
  assert.deepEqual(
    hop(
      ' from mail.example.org (mx.example.org [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n' +
        '\tby mx.example.net (Postfix) with ESMTPS id 4F1Bx7\r\n\tfor <bob@example.net>; Thu, 15 Feb 2007 01:02:03 +0200 (EET)',
    ),
    {
      ...none,
      from: 'mail.example.org',
      fromComment:
        'mx.example.org [192.0.2.1] using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)',
      by: 'mx.example.net',
      byComment: 'Postfix',
      with: 'ESMTPS',
      id: '4F1Bx7',
      for: 'bob@example.net',
      date: '2007-02-14T23:02:03.000Z',
    },
  );
  assert.deepEqual(
    hop(
      'from [198.51.100.7] (port=4711 helo=peer.example) by exim.example with esmtps (TLS1.3) tls TLS_AES_128 (Exim 4.97)\r\n (envelope-from <a@b.example>) id 1rXyZ-0000-1A for bob@example.net; Thu, 15 Feb 2007 01:02:03 +0000',
    ),
    {
      ...none,
      from: '[198.51.100.7]',
      fromComment: 'port=4711 helo=peer.example',
      by: 'exim.example',
      with: 'esmtps tls TLS_AES_128',
      id: '1rXyZ-0000-1A',
      for: 'bob@example.net',
      date: '2007-02-15T01:02:03.000Z',
    },
  );
  assert.deepEqual(
    hop(
      'from A.prod.example ([fe80::1]) by B.prod.example ([fe80::2%4]) with Microsoft SMTP Server (version=TLS1_2) id 15.20.1 via Frontend Transport; Thu, 15 Feb 2007 01:02:03 +0000',
    ),
    {
      ...none,
      from: 'A.prod.example',
      fromComment: '[fe80::1]',
      by: 'B.prod.example',
      byComment: '[fe80::2%4]',
      with: 'Microsoft SMTP Server',
      id: '15.20.1',
      via: 'Frontend Transport',
      date: '2007-02-15T01:02:03.000Z',
    },
  );
  assert.deepEqual(hop('(qmail 4711 invoked by uid 89); 15 Feb 2007 01:02:03 -0000'), {
    ...none,
    date: '2007-02-15T01:02:03.000Z',
  });
  assert.deepEqual(hop('by 2002:a05:6a00::1 with SMTP id x1mr2; Wed, 14 Feb 2007 17:02:03 -0800 (PST)'), {
    ...none,
    by: '2002:a05:6a00::1',
    with: 'SMTP',
    id: 'x1mr2',
    date: '2007-02-15T01:02:03.000Z',
  });
});

test('a host may be called like a keyword; words, semicolons and keywords in comments and quotes are no structure', () => {
  assert.equal(hop('from by by from; x').by, 'from');
  assert.equal(hop('by mx with id 7').id, '7');
  assert.deepEqual(hop('from "a; by c" (by x; with (y) \\) id 9) by z; 15 Feb 2007 01:02 +0000'), {
    ...none,
    from: '"a; by c"',
    fromComment: 'by x; with (y) \\) id 9',
    by: 'z',
    date: '2007-02-15T01:02:00.000Z',
  });
  assert.equal(hop('from a (never closed; by b').by, null);
  assert.equal(hop('from a by b; odd; 15 Feb 2007 01:02 +0000').date, '2007-02-15T01:02:00.000Z');
});

test('what is shown is one line without controls, escapes or marks that turn the direction, and bounded', () => {
  const { from } = parseReceived('from \x1b[31mred\x07\0host\xe2\x80\xae by x');
  assert.equal(from, '[31mredhost');
  assert.equal(parseReceived(`from ${'x'.repeat(10_000)}`).from?.length, receivedLimits.valueLengthMax);
});

test('any text is read in bounded time and never throws', () => {
  for (const seed of seeds) run(seed);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...' ();"\\fromby<>at;, 15'.split(''), 'from ', ' by ', ' for ', '\r\n\t')),
      (parts) => run(Buffer.from(parts.join(''), 'latin1')),
    ),
  );
  for (const piece of ['(', '"', '\\', ';', 'from ', '(a)', '")']) run(Buffer.from(piece.repeat(50_000)));
});
