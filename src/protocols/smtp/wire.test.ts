import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { cutsOfSize, Dialogue, type DialogueOptions, testTls } from './dialogue.ts';

// What peers see of limits, odd octets and addresses, row by row, in every chunking: octet by octet, cut at every place, all at once
// (pipelined), command by command, and with answers of the service that come late. Rows that are no matter of the engine name the test
// that has them.

interface Case {
  octets: string | Buffer;
  options?: DialogueOptions;
  /** the last replies */
  ends: readonly (string | RegExp)[];
  closed?: boolean;
  /** bodies of what was delivered */
  delivered?: readonly string[];
  count?: string;
}

type Row = { row: string } & ({ cases: readonly Case[] } | { at: string; title: RegExp });

const open = 'EHLO c.example\r\nMAIL FROM:<a@one.example>\r\nRCPT TO:<b@two.example>\r\n';
const data = `${open}DATA\r\n`;
const binary = `${open.replace('one.example>', 'one.example> BODY=BINARYMIME')}`;
const tooMany = (what: string): RegExp => new RegExp(`^421 4\\.7\\.0 mx\\.fengni\\.test Too many ${what}`);
const small = {
  sizeBytesMax: 20,
  receivedMax: 2,
  recipientsMax: 2,
  errorsMax: 4,
  idleCommandsMax: 6,
  lineBytesMax: 80,
};
const limited = { settings: small };
const bareText = (octet: string, offset: number): string =>
  `554 5.6.0 Bare ${octet} at octet ${offset} of the data (counted from 0), closing`;

const rows: readonly Row[] = [
  {
    row: 'octets: bare CR or LF in DATA',
    cases: [
      { octets: `${data}ab\ncd\r\n.\r\nNOOP\r\n`, ends: [bareText('LF', 2)], closed: true, delivered: [] },
      { octets: `${data}ab\rcd\r\n.\r\nNOOP\r\n`, ends: [bareText('CR', 2)], closed: true, delivered: [] },
      {
        octets: `${data}a\r\n.\nMAIL FROM:<>\r\n.\r\n`,
        ends: [bareText('LF', 4)],
        closed: true,
        delivered: [],
      },
      {
        octets: `${data}a\n.\r\nMAIL FROM:<>\r\n.\r\n`,
        ends: [bareText('LF', 1)],
        closed: true,
        delivered: [],
      },
      {
        octets: `${data}a\r.\r\nMAIL FROM:<>\r\n.\r\n`,
        ends: [bareText('CR', 1)],
        closed: true,
        delivered: [],
      },
    ],
  },
  {
    row: 'octets: bare CR or LF in BDAT without BODY=BINARYMIME',
    cases: [
      {
        octets: `${open}BDAT 5 LAST\r\nab\ncdNOOP\r\n`,
        ends: [bareText('LF', 2)],
        closed: true,
        delivered: [],
      },
      {
        octets: `${open}BDAT 2\r\na\rBDAT 2 LAST\r\nbcNOOP\r\n`,
        ends: [bareText('CR', 1)],
        closed: true,
        delivered: [],
      },
      { octets: `${open}BDAT 2 LAST\r\na\rNOOP\r\n`, ends: [bareText('CR', 1)], closed: true, delivered: [] },
      {
        octets: `${open}BDAT 2\r\na\rBDAT 1 LAST\r\n\nQUIT\r\n`,
        ends: [/^250 /, /^250 /, /^221 /],
        closed: true,
        delivered: ['a\r\n'],
      },
    ],
  },
  {
    row: 'octets: NUL in DATA',
    cases: [
      {
        octets: `${data}a\0b\r\n.\r\nNOOP\r\n`,
        ends: [/^250 2\.0\.0 Ok id/, '250 2.0.0 Ok'],
        delivered: ['a\0b\r\n'],
        count: 'smtp-nul',
      },
    ],
  },
  {
    row: 'octets: BINARYMIME, announced only by setting',
    cases: [
      { octets: binary, ends: ['501 5.5.4 Value of BODY not understood', '503 5.5.1 MAIL first'] },
      {
        octets: `${binary}BDAT 4 LAST\r\n\r\0\n\nNOOP\r\n`,
        options: { settings: { binarymime: true } },
        ends: [/^250 2\.0\.0 Ok id/, '250 2.0.0 Ok'],
        delivered: ['\r\0\n\n'],
      },
    ],
  },
  { row: 'octets: files', at: 'src/services/inbound/mail-file.test.ts', title: /LF/ },
  {
    row: 'limits: command line over 2,048 octets',
    cases: [
      {
        octets: `NOOP ${'x'.repeat(80)}\r\nNOOP\r\n`,
        options: limited,
        ends: ['500 5.5.2 Line over 80 octets', '250 2.0.0 Ok'],
        count: 'smtp-line-too-long',
      },
    ],
  },
  {
    row: 'limits: recipients over 1,000',
    cases: [
      {
        octets: `${open}RCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\nDATA\r\nx\r\n.\r\n`,
        options: limited,
        ends: ['452 4.5.3 Over 2 recipients', /^354 /, /^250 /],
        delivered: ['x\r\n'],
        count: 'smtp-too-many-recipients',
      },
    ],
  },
  {
    row: 'limits: 20 errors',
    cases: [
      {
        octets: `${'FOO\r\n'.repeat(4)}NOOP\r\n`,
        options: limited,
        ends: ['500 5.5.1 Unknown command', tooMany('errors')],
        closed: true,
        count: 'smtp-too-many-errors',
      },
    ],
  },
  {
    row: 'limits: 100 NOOP, RSET or VRFY',
    cases: [
      {
        octets: `${'NOOP\r\nRSET\r\nVRFY x\r\n'.repeat(3)}`,
        options: limited,
        ends: [/^252 /, tooMany('commands')],
        closed: true,
        count: 'smtp-too-many-idle-commands',
      },
      {
        octets: `${open}${'BDAT 1\r\nx'.repeat(8)}`,
        options: limited,
        ends: [/^250 /, tooMany('commands')],
        closed: true,
        delivered: [],
      },
    ],
  },
  {
    row: 'limits: 50 sessions an address, 10 new a second',
    at: 'src/net/smtp-in/server.test.ts',
    title: /sessions over the limits get 421 4\.7\.0/,
  },
  {
    row: 'limits: an IPv6 address is its /64',
    at: 'src/net/connection/session-gate.test.ts',
    title: /one \/64 count together/,
  },
  {
    row: 'limits: shared by roles and listeners',
    at: 'test/receiving.test.ts',
    title: /its sessions once, not once a role/,
  },
  {
    row: 'limits: trusted addresses',
    at: 'src/net/smtp-in/server.test.ts',
    title: /trusted address is not refused/,
  },
  {
    row: 'limits: 300 s for a command',
    at: 'src/net/smtp-in/server.test.ts',
    title: /421 4\.4\.2 after 300 s/,
  },
  { row: 'limits: DATA 600 s', at: 'src/net/smtp-in/server.test.ts', title: /a message has 600 s/ },
  {
    row: 'limits: 100 octets/s over a minute',
    at: 'src/net/smtp-in/server.test.ts',
    title: /100 octets a second, averaged/,
  },
  { row: 'limits: early talkers', at: 'src/net/smtp-in/listener.test.ts', title: /before the greeting/ },
  {
    row: 'limits: size over the limit',
    cases: [
      {
        octets: 'EHLO c\r\nMAIL FROM:<> SIZE=21\r\n',
        options: limited,
        ends: ['552 5.3.4 Message over 20 octets'],
        count: 'smtp-size-declared',
      },
      {
        octets: `${data}${'x'.repeat(19)}\r\n.\r\nNOOP\r\n`,
        options: limited,
        ends: ['552 5.3.4 Message over 20 octets', '250 2.0.0 Ok'],
        delivered: [],
        count: 'smtp-size',
      },
      {
        octets: `${data}..${'x'.repeat(17)}\r\n.\r\n`,
        options: limited,
        ends: [/^250 /],
        delivered: [`.${'x'.repeat(17)}\r\n`],
      },
      {
        octets: `${open}BDAT 15\r\n${'x'.repeat(15)}BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\n`,
        options: limited,
        ends: ['552 5.3.4 Message over 20 octets', /^503 5\.5\.1 The transaction/],
        delivered: [],
        count: 'smtp-size',
      },
    ],
  },
  {
    row: 'limits: more than 50 Received',
    cases: [
      {
        octets: `${data}${'Received:\r\n'.repeat(3)}\r\n.\r\nNOOP\r\n`,
        options: { settings: { receivedMax: 2 } },
        ends: ['554 5.4.6 Loop: over 2 Received fields', '250 2.0.0 Ok'],
        delivered: [],
        count: 'smtp-loop',
      },
      {
        octets: `${open}BDAT 37 LAST\r\n${'Received: \r\n'.repeat(3)}xNOOP\r\n`,
        options: { settings: { receivedMax: 2 } },
        ends: ['554 5.4.6 Loop: over 2 Received fields', '250 2.0.0 Ok'],
        delivered: [],
        count: 'smtp-loop',
      },
    ],
  },
  {
    row: 'limits: unknown recipient',
    cases: [
      {
        octets: 'EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@x>\r\nDATA\r\n',
        ends: ['550 5.1.1 No such user', '554 5.5.1 No valid recipients'],
        count: 'smtp-recipient-refused',
      },
    ],
  },
  {
    row: 'limits: unknown 550 5.1.1, relay 550 5.7.1, disabled 550 5.2.1',
    at: 'src/services/inbound/inbound.test.ts',
    title: /unknown 550 5\.1\.1, of others 550 5\.7\.1/,
  },
  { row: 'limits: disk nearly full', at: 'src/services/inbound/inbound.test.ts', title: /452 4\.3\.1/ },
  {
    row: 'limits: quota, as the service says it',
    cases: [
      {
        octets: `${data}x\r\n.\r\nNOOP\r\n`,
        options: { outcome: () => ({ kind: 'refused', code: 552, enhanced: '5.2.2', text: 'Over quota' }) },
        ends: ['552 5.2.2 Over quota', '250 2.0.0 Ok'],
        delivered: [],
        count: 'smtp-message-refused',
      },
    ],
  },
  {
    row: 'limits: HTTP verbs or a TLS hello on a plain port',
    cases: [
      {
        octets: 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        ends: ['220 mx.fengni.test ESMTP Fengni'],
        closed: true,
        count: 'smtp-http',
      },
      {
        octets: Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x0a]),
        ends: ['220 mx.fengni.test ESMTP Fengni'],
        closed: true,
        count: 'smtp-tls-on-plain',
      },
    ],
  },
  {
    row: 'limits: no AUTH on port 25',
    cases: [
      {
        octets: 'EHLO c\r\nAUTH PLAIN AAAA\r\n',
        ends: [/^502 5\.5\.1 No authentication/],
        count: 'smtp-auth',
      },
    ],
  },
  {
    row: 'limits: VRFY 252, EXPN 502',
    cases: [{ octets: 'EHLO c\r\nVRFY x\r\nEXPN y\r\n', ends: [/^252 2\.0\.0 /, /^502 5\.5\.1 /] }],
  },
  { row: 'limits: ALPN', at: 'src/net/tls/tls.test.ts', title: /not ours is refused by ALPN/ },
  {
    row: 'limits: a message that stops its parser twice',
    at: 'src/services/inbound/inbound.test.ts',
    title: /stops its parser/,
  },
  {
    row: 'text: 250 under 512 octets, over LMTP once per recipient with the same id',
    cases: [
      {
        octets: `LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@x>\r\nRCPT TO:<unknown@x>\r\nRCPT TO:<c@x>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n`,
        options: { settings: { protocol: 'lmtp' } },
        ends: [
          /^250 2\.0\.0 Ok id=[a-z2-7]{26} sha256=[0-9a-f]{64}$/,
          /^250 2\.0\.0 Ok id=[a-z2-7]{26} sha256=[0-9a-f]{64}$/,
          '250 2.0.0 Ok',
        ],
        delivered: ['x\r\n'],
      },
    ],
  },
  { row: 'addresses: key of an account', at: 'src/message/address/address-key.test.ts', title: /./ },
  {
    row: 'addresses: the envelope is kept as received, Postmaster works, + separates',
    at: 'test/receiving.test.ts',
    title: /as addressed/,
  },
  {
    row: 'addresses: a Bcc is never disclosed',
    at: 'src/services/inbound/inbound.test.ts',
    title: /no recipient where there are several/,
  },
  {
    row: 'addresses: beyond ASCII with SMTPUTF8 only',
    cases: [
      { octets: 'EHLO c\r\nMAIL FROM:<李@例.test>\r\n', ends: ['553 5.6.7 This address needs SMTPUTF8'] },
      {
        octets: 'EHLO c\r\nMAIL FROM:<李@例.test> SMTPUTF8\r\nRCPT TO:<王@例.test>\r\nDATA\r\nx\r\n.\r\n',
        ends: [/^250 2\.1\.5/, /^354 /, /^250 /],
        delivered: ['x\r\n'],
      },
    ],
  },
  {
    row: 'STARTTLS: nothing that came in clear is read as if it came by TLS',
    cases: [
      {
        octets: 'EHLO c\r\nSTARTTLS\r\nMAIL FROM:<>\r\n',
        ends: ['220 2.0.0 Ready to start TLS'],
        count: 'smtp-starttls-injection',
      },
    ],
  },
  {
    row: 'REQUIRETLS: under TLS only',
    cases: [
      { octets: 'EHLO c\r\nMAIL FROM:<> REQUIRETLS\r\n', ends: [/^530 5\.7\.10 /] },
      { octets: 'EHLO c\r\nMAIL FROM:<> REQUIRETLS\r\n', options: { tls: testTls }, ends: ['250 2.1.0 Ok'] },
    ],
  },
];

const inEveryChunking = (octets: Buffer): (readonly number[])[] => {
  const lines = [...octets.keys()].filter(
    (at) => at > 1 && octets[at - 2] === 0x0d && octets[at - 1] === 0x0a,
  );
  const places = [...octets.keys()].slice(1);
  return [
    [],
    lines,
    ...[1, 2, 3, 5, 7].map((size) => cutsOfSize(octets.length, size)),
    ...places.map((cut) => [cut]),
  ];
};

for (const each of rows) {
  if ('cases' in each) {
    test(`WIRE ${each.row}`, () => {
      for (const { octets: given, options = {}, ends, closed = false, delivered, count } of each.cases) {
        const octets = typeof given === 'string' ? Buffer.from(given) : given;
        for (const cuts of inEveryChunking(octets)) {
          for (const late of [false, true]) {
            const dialogue = new Dialogue({ ...options, late }).send(octets, cuts);
            const at = `${JSON.stringify(octets.toString())} cut at ${cuts.slice(0, 5)}${late ? ', late' : ''}`;
            const said = dialogue.take().slice(-ends.length);
            for (const [index, end] of ends.entries()) {
              if (typeof end === 'string') assert.equal(said[index], end, at);
              else assert.match(said[index] ?? '', end, at);
            }
            assert.equal(dialogue.closed, closed, at);
            if (delivered !== undefined)
              assert.deepEqual(
                dialogue.delivered.map(({ body }) => body),
                delivered,
                at,
              );
            if (count !== undefined) assert.equal(dialogue.counts.get(count), 1, at);
          }
        }
      }
    });
  } else {
    test(`WIRE ${each.row}: ${each.at}`, () => {
      const source = fs.readFileSync(path.resolve(import.meta.dirname, '../../..', each.at), 'utf8');
      const titles = [...source.matchAll(/^test\(\s*(['"`])(.*?)\1,/gms)].map(([, , title = '']) => title);
      assert.ok(
        titles.some((title) => each.title.test(title)),
        `no test ${each.title} in ${each.at}`,
      );
    });
  }
}

test('every row of the table is there once', () => {
  assert.equal(new Set(rows.map(({ row }) => row)).size, rows.length);
});
