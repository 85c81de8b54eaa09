import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkReader } from './chunk-reader.ts';
import { Dialogue, type DialogueOptions, testTls } from './dialogue.ts';
import {
  decodeXtext,
  encodeXtext,
  isXtext,
  parseEnvid,
  parseNotify,
  parseOrcpt,
  type Refusal,
} from './index.ts';

const hello = 'EHLO client.example\r\n';
const envelope = 'MAIL FROM:<a@one.example>\r\nRCPT TO:<b@two.example>\r\n';
const later: Refusal = { kind: 'refused', code: 452, enhanced: '4.2.2', text: 'Over quota' };

const greeted = (options: DialogueOptions = {}): Dialogue => {
  const dialogue = new Dialogue(options);
  dialogue.send(options.settings?.protocol === 'lmtp' ? hello.replace('EHLO', 'LHLO') : hello);
  dialogue.take();
  return dialogue;
};
const replies = (octets: string, options: DialogueOptions = {}): string[] =>
  greeted(options).send(octets).take();
/** an EHLO reply's keywords */
const offers = (options: DialogueOptions = {}): string[] =>
  new Dialogue(options)
    .send(options.settings?.protocol === 'lmtp' ? hello.replace('EHLO', 'LHLO') : hello)
    .take()
    .slice(2)
    .map((line) => line.slice(4));

test('BDAT: chunks of a message, each with its reply, LAST with the message’s (RFC 3030 §2)', () => {
  const dialogue = greeted();
  const chunk = 'x'.repeat(2000);
  dialogue.send(`${envelope}BDAT 2000\r\n${chunk}BDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nNOOP\r\n`);
  const said = dialogue.take();
  assert.deepEqual(said.slice(2, 4), ['250 2.0.0 2000 octets received', '250 2.0.0 6 octets received']);
  assert.match(said[4] ?? '', /^250 2\.0\.0 Ok id=/);
  assert.equal(said[5], '250 2.0.0 Ok');
  assert.equal(dialogue.delivered[0]?.body, `${chunk}QUIT\r\n`);
});

test('BDAT: a whole message in one chunk, an empty one, one without a line end, in lower case', () => {
  const dialogue = greeted();
  dialogue.send(`${envelope}bdat 5 last\r\na.\r\n.${envelope}BDAT 0 LAST\r\n${envelope}BDAT 00 LAST \r\n`);
  assert.deepEqual(
    dialogue.delivered.map(({ body }) => body),
    ['a.\r\n.', '', ''],
  );
});

test('BDAT out of order is refused after its octets, which are never commands (RFC 3030 §2)', () => {
  assert.deepEqual(replies('BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n'), ['503 5.5.1 MAIL first', '250 2.0.0 Ok']);
  assert.deepEqual(new Dialogue().send('BDAT 6\r\nQUIT\r\nNOOP\r\n').take().slice(1), [
    '503 5.5.1 MAIL first',
    '250 2.0.0 Ok',
  ]);
  assert.deepEqual(replies('MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n').slice(1), [
    '554 5.5.1 No valid recipients',
    '250 2.0.0 Ok',
  ]);
});

test('BDAT after a failed chunk: those on their way are read and refused, RSET or MAIL begins anew (RFC 3030 §2)', () => {
  const settings = { sizeBytesMax: 10 };
  const failed = '503 5.5.1 The transaction has failed, RSET or MAIL first';
  const dialogue = greeted({ settings });
  dialogue.send(
    `${envelope}BDAT 11\r\n12345678901BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nDATA\r\n${envelope}BDAT 2 LAST\r\nok`,
  );
  const said = dialogue.take();
  assert.deepEqual(said.slice(2, 6), [
    '552 5.3.4 Message over 10 octets',
    failed,
    failed,
    '503 5.5.1 MAIL first',
  ]);
  assert.match(said.at(-1) ?? '', /^250 2\.0\.0 Ok id=/);
  assert.deepEqual(dialogue.aborts, ['size']);
  assert.deepEqual(
    dialogue.delivered.map(({ body }) => body),
    ['ok'],
  );
});

test('BDAT and the commands between chunks: RSET, EHLO and QUIT drop the message, RCPT, MAIL and DATA do not fit', () => {
  const begun = `${envelope}BDAT 4\r\nab\r\n`;
  for (const command of ['RSET', 'EHLO again', 'QUIT']) {
    const dialogue = greeted();
    dialogue.send(`${begun}${command}\r\n`);
    assert.equal(dialogue.aborts.length, 1, command);
    assert.deepEqual(dialogue.delivered, []);
  }
  assert.deepEqual(replies(`${begun}RCPT TO:<c@d>\r\nMAIL FROM:<>\r\nDATA\r\nNOOP\r\n`).slice(3), [
    '503 5.5.1 The message has begun; RSET ends it',
    '503 5.5.1 A transaction is open; RSET ends it',
    '503 5.5.1 The message has begun by BDAT; RSET ends it',
    '250 2.0.0 Ok',
  ]);
  const dialogue = greeted();
  dialogue.send(`${begun}NOOP\r\n`);
  dialogue.act(dialogue.session.timeOut());
  assert.deepEqual(dialogue.aborts, ['timeout']);
});

test('BDAT without a number ends the session; one that announces too much does too, unread', () => {
  for (const [command, expected] of [
    ['BDAT', '501 5.5.4 Write BDAT octets [LAST]; closing'],
    ['BDAT x', '501 5.5.4 Write BDAT octets [LAST]; closing'],
    ['BDAT -1 LAST', '501 5.5.4 Write BDAT octets [LAST]; closing'],
    ['BDAT 3 FIRST', '501 5.5.4 Write BDAT octets [LAST]; closing'],
    ['BDAT 99999999999999999999 LAST', '552 5.3.4 Message over 52428800 octets, closing'],
  ] as const) {
    const dialogue = greeted();
    dialogue.send(`${envelope}${command}\r\nNOOP\r\n`);
    assert.equal(dialogue.take().at(-1), expected);
    assert.equal(dialogue.closed, true);
  }
  // What is thrown away is bounded as well.
  const wasteful = greeted({ settings: { sizeBytesMax: 1000, errorsMax: 1000 } });
  const chunk = `BDAT 30000\r\n${'x'.repeat(30_000)}`;
  wasteful.send(chunk.repeat(5));
  assert.equal(wasteful.closed, true);
  assert.equal(wasteful.counts.get('smtp-endless-data'), 1);
});

test('a message in tiny chunks is given up: each is a command that moves nothing', () => {
  const dialogue = greeted();
  dialogue.send(`${envelope}${'BDAT 1\r\nx'.repeat(200)}`);
  assert.equal(dialogue.take().at(-1), '421 4.7.0 mx.fengni.test Too many commands without mail');
  assert.deepEqual(dialogue.aborts, ['closed']);
});

test('BINARYMIME: only by setting, only by BDAT; every octet is kept (RFC 3030 §3)', () => {
  const settings = { binarymime: true };
  assert.ok(!offers().includes('BINARYMIME'));
  assert.ok(offers({ settings }).includes('BINARYMIME'));
  const dialogue = greeted({ settings });
  dialogue.send(
    'MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@x>\r\nDATA\r\nBDAT 8\r\n\n\r\r\0.\r\n.BDAT 1 LAST\r\n\rNOOP\r\n',
  );
  assert.equal(dialogue.take()[2], '503 5.5.1 BINARYMIME comes by BDAT');
  assert.equal(dialogue.delivered[0]?.body, '\n\r\r\0.\r\n.\r');
  assert.equal(dialogue.delivered[0]?.transaction.body, 'BINARYMIME');
});

test('bare octets in chunks are found as by a simple search, wherever the chunks are cut', () => {
  const piece = fc.constantFrom('\r\n', '\r', '\n', 'a', '\r\n\r\n', 'text', '\0');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }),
      fc.array(fc.nat(100), { maxLength: 10 }),
      (pieces, cuts) => {
        const octets = Buffer.from(pieces.join(''), 'latin1');
        const text = octets.toString('latin1');
        let expected: string | null = null;
        for (let at = 0; at < text.length && expected === null; at++) {
          if (text[at] === '\n' && text[at - 1] !== '\r') expected = `LF ${at}`;
          if (text[at] === '\r' && text[at + 1] !== '\n') expected = `CR ${at}`;
        }
        const reader = new ChunkReader(false);
        const emitted: Buffer[] = [];
        let from = 0;
        for (const cut of [...cuts.filter((at) => at < octets.length).sort((a, b) => a - b), octets.length]) {
          if (cut > from) reader.read(octets.subarray(from, cut), (part) => emitted.push(part));
          from = Math.max(from, cut);
        }
        reader.end();
        assert.equal(reader.bare === null ? null : `${reader.bare.octet} ${reader.bare.offset}`, expected);
        if (expected === null) assert.equal(Buffer.concat(emitted).toString('latin1'), text);
      },
    ),
    { numRuns: 3000 },
  );
});

test('DSN: parameters of MAIL and RCPT are checked and kept (RFC 3461 §4)', () => {
  assert.ok(offers().includes('DSN'));
  const dialogue = greeted();
  dialogue.send(
    'MAIL FROM:<a@b> ret=hdrs ENVID=QQ314+2B159 BODY=8bitmime\r\n' +
      'RCPT TO:<b@x> NOTIFY=delay,success ORCPT=rfc822;b+2Bold@x\r\nRCPT TO:<c@x>\r\nRCPT TO:<d@x> NOTIFY=NEVER\r\nDATA\r\n.\r\n',
  );
  const { transaction, recipients } = dialogue.delivered[0] ?? {};
  assert.deepEqual(
    [transaction?.ret, transaction?.envid, transaction?.parameters],
    ['HDRS', 'QQ314+2B159', ['ret=hdrs', 'ENVID=QQ314+2B159', 'BODY=8bitmime']],
  );
  assert.deepEqual(
    recipients?.map(({ dsn }) => dsn),
    [{ notify: 'SUCCESS,DELAY', orcpt: 'rfc822;b+2Bold@x' }, null, { notify: 'NEVER', orcpt: null }],
  );
});

test('DSN: what is no value of its parameter is refused (RFC 3461 §4.1 to §4.4, §5.4)', () => {
  for (const [word, name] of [
    ['RET=BODY', 'RET'],
    ['RET', 'RET'],
    ['ENVID', 'ENVID'],
    ['ENVID=a+b', 'ENVID'],
    ['ENVID=a+2b', 'ENVID'],
    ['ENVID=a+0Db', 'ENVID'],
    [`ENVID=${'x'.repeat(101)}`, 'ENVID'],
  ] as const)
    assert.deepEqual(
      replies(`MAIL FROM:<a@b> ${word}\r\n`),
      [`501 5.5.4 Value of ${name} not understood`],
      word,
    );
  for (const [word, name] of [
    ['NOTIFY=', ''],
    ['NOTIFY', 'NOTIFY'],
    ['NOTIFY=NEVER,SUCCESS', 'NOTIFY'],
    ['NOTIFY=SUCCESS,SUCCESS', 'NOTIFY'],
    ['NOTIFY=ALWAYS', 'NOTIFY'],
    ['ORCPT=a@b', 'ORCPT'],
    ['ORCPT=rfc822;', 'ORCPT'],
    ['ORCPT=rfc822;a+b', 'ORCPT'],
    ['ORCPT=;a', 'ORCPT'],
    ['ORCPT=utf-8;a+b', 'ORCPT'],
    ['ORCPT=utf-8;李@例.test', 'ORCPT'],
    ['ORCPT=utf-8;\\x{0D}', 'ORCPT'],
    [`ORCPT=rfc822;${'x'.repeat(494)}`, 'ORCPT'],
  ] as const)
    assert.deepEqual(
      replies(`MAIL FROM:<a@b>\r\nRCPT TO:<c@d> ${word}\r\n`).slice(1),
      [
        name === ''
          ? '501 5.5.4 Parameters are NAME or NAME=value, each once'
          : `501 5.5.4 Value of ${name} not understood`,
      ],
      word,
    );
  assert.equal(parseOrcpt('utf-8;\\x{674E}@\\x{4F8B}.test', false), 'utf-8;\\x{674E}@\\x{4F8B}.test');
  assert.equal(parseOrcpt('utf-8;李@例.test', true), 'utf-8;李@例.test');
  assert.equal(parseNotify('failure'), 'FAILURE');
  assert.equal(parseEnvid('x'.repeat(100)), 'x'.repeat(100));
});

test('xtext carries any octets (RFC 3461 §4)', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (octets) => {
      const text = Buffer.from(octets).toString('latin1');
      const encoded = encodeXtext(text);
      assert.ok(isXtext(encoded));
      assert.equal(decodeXtext(encoded), text);
    }),
  );
  for (const bad of ['+', '+2', '+2b', '=', ' ', 'é', '+GG']) assert.equal(decodeXtext(bad), null, bad);
});

test('REQUIRETLS is offered and taken under TLS only, and kept (RFC 8689 §2)', () => {
  assert.ok(!offers().includes('REQUIRETLS'));
  assert.ok(offers({ tls: testTls }).includes('REQUIRETLS'));
  assert.deepEqual(replies('MAIL FROM:<a@b> REQUIRETLS\r\n'), [
    '530 5.7.10 REQUIRETLS needs TLS; STARTTLS first',
  ]);
  const dialogue = greeted({ tls: testTls });
  dialogue.send(
    'MAIL FROM:<a@b> REQUIRETLS\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\nMAIL FROM:<a@b> REQUIRETLS=1\r\n',
  );
  assert.equal(dialogue.delivered[0]?.transaction.requireTls, true);
  assert.equal(dialogue.take().at(-1), '501 5.5.4 Value of REQUIRETLS not understood');
});

test('LIMITS tells how many messages and recipients are taken, and they are (RFC 9422 §4)', () => {
  const settings = { mailsMax: 3, recipientsMax: 2 };
  assert.ok(offers({ settings }).includes('LIMITS MAILMAX=3 RCPTMAX=2'));
  const dialogue = greeted({ settings });
  dialogue.send('MAIL FROM:<>\r\nRSET\r\n'.repeat(4));
  assert.equal(dialogue.take().at(-1), '421 4.7.0 mx.fengni.test Over 3 messages, connect again');
  assert.equal(dialogue.closed, true);
});

test('a sender that the service refuses leaves no transaction open', () => {
  const dialogue = greeted({
    sender: () => ({ kind: 'refused', code: 452, enhanced: '4.3.1', text: 'Disk nearly full' }),
  });
  dialogue.send(`${envelope}DATA\r\n`);
  assert.deepEqual(dialogue.take(), [
    '452 4.3.1 Disk nearly full',
    '503 5.5.1 MAIL first',
    '503 5.5.1 MAIL first',
  ]);
});

const lmtp = { protocol: 'lmtp' } as const;

test('LMTP: LHLO and nothing else greets; the replies come once a recipient, in their order (RFC 2033 §4)', () => {
  assert.deepEqual(new Dialogue({ settings: lmtp }).take(), ['220 mx.fengni.test LMTP Fengni']);
  assert.deepEqual(new Dialogue({ settings: lmtp }).send('HELO x\r\nMAIL FROM:<>\r\n').take().slice(1), [
    '500 5.5.1 This is LMTP: LHLO',
    '503 5.5.1 LHLO first',
  ]);
  assert.deepEqual(new Dialogue().send('LHLO x\r\n').take().slice(1), ['500 5.5.1 This is SMTP: EHLO']);
  for (const word of ['PIPELINING', 'ENHANCEDSTATUSCODES', '8BITMIME', 'CHUNKING', 'DSN'])
    assert.ok(offers({ settings: lmtp }).includes(word), word);
  const dialogue = greeted({ settings: lmtp });
  const three = 'RCPT TO:<b@x>\r\nRCPT TO:<unknown@x>\r\nRCPT TO:<c@x>\r\n';
  dialogue.send(
    `MAIL FROM:<>\r\n${three}DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n${three}BDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n`,
  );
  const said = dialogue.take().map((line) => line.slice(0, 9));
  const open = ['250 2.1.0', '250 2.1.5', '550 5.1.1', '250 2.1.5'];
  const done = ['250 2.0.0', '250 2.0.0'];
  assert.deepEqual(said, [...open, '354 End d', ...done, ...open, '250 2.0.0', ...done, '250 2.0.0']);
});

test('LMTP: some recipients may be refused after the message; all share its id (RFC 2033 §4.2)', () => {
  const dialogue = greeted({
    settings: lmtp,
    outcome: () => ({ kind: 'accepted', id: 'i', sha256Hex: 'h', except: new Map([[1, later]]) }),
  });
  dialogue.send('MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n.\r\n');
  assert.deepEqual(dialogue.take().slice(-3), [
    '250 2.0.0 Ok id=i sha256=h',
    '452 4.2.2 Over quota',
    '250 2.0.0 Ok id=i sha256=h',
  ]);
});

test('LMTP: a message refused whole is refused once a recipient; without recipients DATA is 503 (RFC 2033 §4.2)', () => {
  const two = 'MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\n';
  assert.deepEqual(replies(`${two}DATA\r\n.\r\n`, { settings: lmtp, outcome: () => later }).slice(-2), [
    '452 4.2.2 Over quota',
    '452 4.2.2 Over quota',
  ]);
  const settings = { ...lmtp, sizeBytesMax: 3 };
  const large = '552 5.3.4 Message over 3 octets';
  assert.deepEqual(replies(`${two}DATA\r\nabcd\r\n.\r\nNOOP\r\n`, { settings }).slice(-3), [
    large,
    large,
    '250 2.0.0 Ok',
  ]);
  assert.deepEqual(replies(`${two}BDAT 4 LAST\r\nabcdNOOP\r\n`, { settings }).slice(-3), [
    large,
    large,
    '250 2.0.0 Ok',
  ]);
  assert.deepEqual(replies(`${two}BDAT 4\r\nabcdNOOP\r\n`, { settings }).slice(-2), [large, '250 2.0.0 Ok']);
  const bare = replies(`${two}DATA\r\na\nb\r\n.\r\n`, { settings: lmtp });
  assert.match(bare.slice(-2).join('|'), /^(554 5\.6\.0 Bare LF at octet 1 [^|]*)\|\1$/);
  assert.deepEqual(
    replies('MAIL FROM:<>\r\nRCPT TO:<unknown@x>\r\nDATA\r\n', { settings: lmtp }).at(-1),
    '503 5.5.1 No valid recipients',
  );
});

test('the protocol word of LMTP (RFC 3848, RFC 6531 §4.3)', () => {
  const word = (octets: string, tls: boolean): string | undefined =>
    greeted({ settings: lmtp, ...(tls ? { tls: testTls } : {}) }).send(octets).delivered[0]?.transaction
      .protocol;
  const rest = `${envelope}DATA\r\n.\r\n`;
  const utf8 = rest.replace('one.example>', 'one.example> SMTPUTF8');
  assert.deepEqual(
    [word(rest, false), word(rest, true), word(utf8, false), word(utf8, true)],
    ['LMTP', 'LMTPS', 'UTF8LMTP', 'UTF8LMTPS'],
  );
});

const relay = { address: '192.0.2.1', port: 25, isTrustedRelay: true };

test('XCLIENT of a trusted relay changes the peer, and all begins anew (Postfix, XCLIENT_README)', () => {
  assert.ok(offers({ peer: relay }).includes('XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT'));
  assert.ok(!offers().some((word) => word.startsWith('X')));
  const dialogue = greeted({ peer: relay });
  dialogue.send('XCLIENT NAME=peer.example ADDR=IPV6:2001:DB8::9 PORT=4711\r\nMAIL FROM:<>\r\n');
  assert.deepEqual(dialogue.take(), ['220 mx.fengni.test ESMTP Fengni', '503 5.5.1 EHLO first']);
  dialogue.send(`EHLO mx.peer.example\r\n${envelope}DATA\r\n.\r\n${envelope}DATA\r\n.\r\n`);
  for (const { transaction } of dialogue.delivered) {
    assert.deepEqual(transaction.peer, {
      address: '2001:db8::9',
      port: 4711,
      name: 'peer.example',
      via: [{ by: 'XCLIENT', address: '192.0.2.1' }],
    });
    assert.equal(transaction.helo, 'mx.peer.example');
  }
  assert.equal(dialogue.delivered.length, 2);
});

test('XFORWARD holds for one transaction; what the relay does not know is not made up (Postfix, XFORWARD_README)', () => {
  const dialogue = greeted({ peer: relay });
  dialogue.send(
    'XFORWARD NAME=[UNAVAILABLE] ADDR=203.0.113.9\r\nXFORWARD HELO=mx.peer.example PROTO=SMTP PORT=[UNAVAILABLE] SOURCE=REMOTE IDENT=3F2+2B\r\n' +
      `${envelope}DATA\r\n.\r\n${envelope}DATA\r\n.\r\nXFORWARD ADDR=[UNAVAILABLE] SOURCE=LOCAL\r\n${envelope}DATA\r\n.\r\n`,
  );
  const via = [{ by: 'XFORWARD', address: '192.0.2.1' }];
  assert.deepEqual(
    dialogue.delivered.map(({ transaction: { peer, helo } }) => [peer, helo]),
    [
      [{ address: '203.0.113.9', port: 0, name: null, via }, 'mx.peer.example'],
      [{ address: '192.0.2.1', port: 25, name: null, via: [] }, 'client.example'],
      [{ address: '', port: 0, name: null, via }, 'client.example'],
    ],
  );
});

test('XCLIENT and XFORWARD of others, inside a transaction, and with what is no value are refused', () => {
  for (const verb of ['XCLIENT', 'XFORWARD']) {
    assert.deepEqual(replies(`${verb} ADDR=203.0.113.9\r\n`), [
      `550 5.7.0 ${verb} is for relays that are trusted for it`,
    ]);
    assert.deepEqual(
      replies(`MAIL FROM:<>\r\n${verb} ADDR=203.0.113.9\r\n`, { peer: relay }).at(-1),
      '503 5.5.1 A transaction is open; RSET ends it',
    );
    for (const words of [
      '',
      'ADDR',
      'ADDR=x',
      'ADDR=2001:db8::1',
      'ADDR=IPV6:192.0.2.1',
      'ADDR=203.0.113.9 ADDR=203.0.113.9',
      'PORT=65536',
      'PORT=-1',
      'NAME=a+0D+0Ab',
      'NAME=a+b',
      'NAME=(x)',
      'HELO=a+20b',
      'PROTO=HTTP',
      'FOO=bar',
    ])
      assert.match(
        replies(`${verb} ${words}\r\n`, { peer: relay })[0] ?? '',
        /^501 5\.5\.4 /,
        `${verb} ${words}`,
      );
  }
});

test('a domain that DNS could not be asked for is no address (RFC 5890 §2.3.2.1)', () => {
  const mail = (domain: string): string =>
    replies(`MAIL FROM:<a@${domain}> SMTPUTF8\r\n`)[0]?.slice(0, 3) ?? '';
  for (const domain of ['例.test', 'xn--fsqu00a.test', 'straße.example', 'b_c.example'])
    assert.equal(mail(domain), '250', domain);
  for (const domain of ['\u{378}.test', 'xn--a.test', 'a\u{200d}b.test', '\u{1f1e6}\u{fffe}.test'])
    assert.equal(mail(domain), '501', domain);
});
