import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutsOfSize, Dialogue, type DialogueOptions, testTls } from './dialogue.ts';
import { type SmtpSettings, smtpCounters } from './index.ts';

const hello = 'EHLO client.example\r\n';
const envelope = 'MAIL FROM:<a@one.example>\r\nRCPT TO:<b@two.example>\r\n';
const message = 'Subject: x\r\n\r\ntext\r\n';

/** A dialogue that has said EHLO. */
const greeted = (options: DialogueOptions = {}): Dialogue => {
  const dialogue = new Dialogue(options);
  dialogue.send(hello);
  dialogue.take();
  return dialogue;
};

/** The replies to some octets after EHLO. */
const replies = (octets: string | Uint8Array, options: DialogueOptions = {}): string[] =>
  greeted(options).send(octets).take();

/** Every reply, what was delivered, whether it closed: what must not depend on the chunks. */
const trace = (octets: Buffer, cuts: readonly number[], options: DialogueOptions = {}): unknown => {
  const dialogue = new Dialogue(options);
  dialogue.send(octets, cuts);
  const { replies: said, delivered, closed, handshakes } = dialogue;
  return { said, delivered, closed, handshakes, counts: [...dialogue.counts].sort() };
};

test('the greeting names the host, EHLO lists what is offered (RFC 5321 §4.3.1, §4.1.1.1)', () => {
  const dialogue = new Dialogue();
  assert.deepEqual(dialogue.take(), ['220 mx.fengni.test ESMTP Fengni']);
  dialogue.send(hello);
  assert.deepEqual(dialogue.take(), [
    '250-mx.fengni.test',
    '250-PIPELINING',
    '250-SIZE 52428800',
    '250-8BITMIME',
    '250-SMTPUTF8',
    '250-CHUNKING',
    '250-DSN',
    '250-STARTTLS',
    '250-LIMITS MAILMAX=10000 RCPTMAX=1000',
    '250 ENHANCEDSTATUSCODES',
  ]);
  dialogue.send('HELO client.example\r\n');
  assert.deepEqual(dialogue.take(), ['250 mx.fengni.test']);
});

test('STARTTLS is listed only where it can be used (RFC 3207 §4)', () => {
  const plain = new Dialogue({ settings: { starttls: false } }).send(`${hello}STARTTLS\r\n`).take();
  assert.equal(plain.includes('250-STARTTLS'), false);
  assert.equal(plain.at(-1), '502 5.5.1 STARTTLS is not offered');
  const secure = new Dialogue({ tls: testTls }).send(`${hello}STARTTLS\r\n`).take();
  assert.equal(secure.includes('250-STARTTLS'), false);
  assert.equal(secure.at(-1), '503 5.5.1 TLS is on');
  assert.deepEqual(replies('STARTTLS now\r\n'), ['501 5.5.4 STARTTLS takes no argument']);
});

test('a message is taken and answered with its id and hash', () => {
  const dialogue = greeted();
  dialogue.send(`${envelope}DATA\r\n${message}..dot\r\n.\r\nQUIT\r\n`);
  const body = `${message}.dot\r\n`;
  const sha256 = createHash('sha256').update(body).digest('hex');
  assert.deepEqual(dialogue.take(), [
    '250 2.1.0 Ok',
    '250 2.1.5 Ok',
    '354 End data with <CR><LF>.<CR><LF>',
    `250 2.0.0 Ok id=abcdefghijklmnopqrstuvwxyz sha256=${sha256}`,
    '221 2.0.0 mx.fengni.test Bye',
  ]);
  assert.equal(dialogue.closed, true);
  assert.deepEqual(dialogue.delivered, [
    {
      transaction: {
        peer: { address: '192.0.2.7', port: 4242, name: null, via: [] },
        helo: 'client.example',
        protocol: 'ESMTP',
        tls: null,
        mailFrom: 'a@one.example',
        smtpUtf8: false,
        body: '7BIT',
        sizeDeclared: null,
        requireTls: false,
        ret: null,
        envid: null,
        parameters: [],
      },
      recipients: [{ address: 'b@two.example', key: 'b@two.example', dsn: null }],
      body,
    },
  ]);
});

test('an empty message is a message', () => {
  const dialogue = greeted();
  dialogue.send(`${envelope}DATA\r\n.\r\n`);
  assert.equal(dialogue.delivered[0]?.body, '');
});

test('the protocol word names extensions and TLS (RFC 3848, RFC 6531 §4.3)', () => {
  const word = (octets: string, tls: boolean): string | undefined => {
    const dialogue = new Dialogue(tls ? { tls: testTls } : {});
    dialogue.send(octets);
    return dialogue.delivered[0]?.transaction.protocol;
  };
  const rest = `${envelope}DATA\r\n.\r\n`;
  const utf8 = rest.replace('one.example>', 'one.example> SMTPUTF8');
  assert.equal(word(`HELO c\r\n${rest}`, false), 'SMTP');
  assert.equal(word(`${hello}${rest}`, false), 'ESMTP');
  assert.equal(word(`${hello}${rest}`, true), 'ESMTPS');
  assert.equal(word(`${hello}${utf8}`, false), 'UTF8SMTP');
  assert.equal(word(`${hello}${utf8}`, true), 'UTF8SMTPS');
});

test('every chunking gives the same replies, messages and counts, with answers at once or late', () => {
  const dialogues = [
    `${hello}${envelope}DATA\r\n${message}..dot\r\n.\r\n${envelope}RCPT TO:<unknown@x.example>\r\nDATA\r\n.\r\nQUIT\r\nNOOP\r\n`,
    `${hello}MAIL FROM:<>\r\nRCPT TO:<later@x.example>\r\nDATA\r\nRSET\r\nVRFY x\r\nEXPN y\r\nHELP\r\nNOOP z\r\n`,
    `${hello}STARTTLS\r\nRSET\r\nEHLO x\r\n`,
    `${hello}${envelope}DATA\r\na\nb\r\n.\r\nRSET\r\n`,
    `${hello}${envelope}DATA\r\n${'Received: x\r\n'.repeat(4)}\r\n.\r\nNOOP\r\n`,
    `${hello}${envelope}DATA\r\n${'Received: x\r\n'.repeat(3)}\r\n.\r\nNOOP\r\n`,
    `${hello}${envelope}DATA\r\n${'0123456789\r\n'.repeat(20)}\r\n.\r\nNOOP\r\n`,
    `${hello}NOOP\nRSET\r\n`,
    `${hello}${'x'.repeat(3000)}\r\nNOOP\r\n`,
    `EHLO [IPv6:::1]\r\nMAIL FROM:<李@例.test> SMTPUTF8\r\nRCPT TO:<"b b"@two.example>\r\nDATA\r\n\0\xff\r\n.\r\n`,
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    `${hello}DATA\r\nMAIL\r\nRCPT TO:<a@b>\r\nAUTH PLAIN AAAA\r\nBDAT 3 LAST\r\nabc`,
    `${hello}${envelope}BDAT 7\r\nA: b\r\n\rBDAT 3\r\n\nx\rBDAT 1 LAST\r\n\nNOOP\r\n`,
    `${hello}${envelope}BDAT 7\r\nA: b\r\n\rBDAT 3 LAST\r\nxyzNOOP\r\n`,
    `${hello}BDAT 6\r\nNOOP\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nRCPT TO:<b@x>\r\nBDAT 0 LAST\r\nBDAT x\r\nQUIT\r\n`,
    `${hello}${envelope}BDAT 250\r\n${'0123456\r\n'.repeat(25).padEnd(250, 'x')}BDAT 6 LAST\r\nNOOP\r\nMAIL FROM:<>\r\n`,
    `${hello}${envelope}BDAT 4\r\nab\r\nRCPT TO:<c@d>\r\nDATA\r\nRSET\r\nBDAT 4 LAST\r\nab\r\n${envelope}BDAT 4 LAST\r\nab\r\nQUIT\r\n`,
  ];
  const settings: Partial<SmtpSettings> = { receivedMax: 3, sizeBytesMax: 200 };
  for (const text of dialogues) {
    const octets = Buffer.from(text);
    const expected = trace(octets, [], { settings });
    for (let size = 1; size <= octets.length; size += size < 12 ? 1 : 7) {
      const cuts = cutsOfSize(octets.length, size);
      assert.deepEqual(trace(octets, cuts, { settings }), expected, `${JSON.stringify(text)} by ${size}`);
      assert.deepEqual(
        trace(octets, cuts, { settings, late: true }),
        expected,
        `${JSON.stringify(text)} by ${size}, late`,
      );
    }
    for (let cut = 1; cut < octets.length; cut++) {
      assert.deepEqual(trace(octets, [cut], { settings }), expected, `${JSON.stringify(text)} cut at ${cut}`);
    }
  }
});

test('random dialogues in random chunks give the same replies, messages and counts', () => {
  const piece = fc.constantFrom(
    hello,
    'HELO x\r\n',
    envelope,
    'MAIL FROM:<a@b> SIZE=10\r\n',
    'RCPT TO:<unknown@x>\r\n',
    'RCPT TO:<later@x>\r\n',
    'DATA\r\n',
    'DATA\r\n',
    'RSET\r\n',
    'STARTTLS\r\n',
    'text\r\n',
    '.\r\n',
    '\r\n.\r\n',
    '..\r\n',
    'Received: a\r\n',
    '\r\n',
    '\n',
    '\r',
    '\0',
    'x'.repeat(70),
    'NOOP\r\n',
    'BDAT 6\r\n',
    'BDAT 0 LAST\r\n',
    'BDAT 12 LAST\r\n',
    'BDAT 130\r\n',
  );
  const settings: Partial<SmtpSettings> = { receivedMax: 2, sizeBytesMax: 120, lineBytesMax: 100 };
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }),
      fc.array(fc.nat(800), { maxLength: 20 }),
      fc.boolean(),
      (pieces, cuts, late) => {
        const octets = Buffer.from(hello + pieces.join(''));
        const sorted = cuts.filter((cut) => cut < octets.length).sort((left, right) => left - right);
        assert.deepEqual(trace(octets, sorted, { settings, late }), trace(octets, [], { settings }));
      },
    ),
    { numRuns: 1000 },
  );
});

test('commands out of order are refused (RFC 5321 §4.1.4)', () => {
  assert.deepEqual(new Dialogue().send('MAIL FROM:<a@b>\r\n').take().slice(1), ['503 5.5.1 EHLO first']);
  assert.deepEqual(replies('RCPT TO:<a@b>\r\nDATA\r\n'), ['503 5.5.1 MAIL first', '503 5.5.1 MAIL first']);
  assert.deepEqual(replies('MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\n'), [
    '250 2.1.0 Ok',
    '503 5.5.1 A transaction is open; RSET ends it',
    '554 5.5.1 No valid recipients',
  ]);
  assert.deepEqual(replies(`${envelope}EHLO again\r\nDATA\r\n`).at(-1), '503 5.5.1 MAIL first');
});

test('commands that are not served say so (RFC 5321 §4.2.4, §3.5.3)', () => {
  assert.deepEqual(replies('VRFY a\r\nEXPN list\r\nHELP\r\nNOOP\r\nNOOP hello\r\nFOO\r\nTURN\r\n\r\n'), [
    '252 2.0.0 Send mail to find out',
    '502 5.5.1 EXPN is not implemented',
    '214 2.0.0 EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP (RFC 5321)',
    '250 2.0.0 Ok',
    '250 2.0.0 Ok',
    '500 5.5.1 Unknown command',
    '502 5.5.1 TURN is not implemented',
    '500 5.5.1 Unknown command',
  ]);
  assert.deepEqual(replies('VRFY\r\nDATA x\r\nQUIT now\r\nRSET x\r\n'), [
    '501 5.5.4 VRFY needs an address',
    '501 5.5.4 DATA takes no argument',
    '501 5.5.4 QUIT takes no argument',
    '501 5.5.4 RSET takes no argument',
  ]);
});

test('there is no AUTH on this port', () => {
  const dialogue = greeted();
  dialogue.send('AUTH PLAIN AGEAYg==\r\n');
  assert.match(dialogue.take()[0] ?? '', /^502 5\.5\.1 /);
  assert.equal(dialogue.counts.get('smtp-auth'), 1);
});

test('verbs and keywords are read in any case, trailing blanks are dropped (RFC 5321 §2.4, §4.1.1)', () => {
  assert.deepEqual(
    replies('mail from:<a@b> size=10 body=8bitmime \r\nrcpt TO:<c@d>  \r\nNoop \r\nRSET \r\n'),
    ['250 2.1.0 Ok', '250 2.1.5 Ok', '250 2.0.0 Ok', '250 2.0.0 Ok'],
  );
  // Departs from RFC 5321 §3.3: one blank after the colon is taken, since senders in use write it.
  assert.deepEqual(replies('MAIL FROM: <a@b>\r\nRCPT TO: <c@d>\r\n'), ['250 2.1.0 Ok', '250 2.1.5 Ok']);
});

test('bad paths and parameters have their replies (RFC 5321 §4.1.1.11, RFC 3463)', () => {
  const badMail = '501 5.1.7 Write MAIL FROM:<address>';
  const badWord = '501 5.5.4 Parameters are NAME or NAME=value, each once';
  for (const [command, expected] of [
    ['MAIL FROM:a@b', badMail],
    ['MAIL FROM <a@b>', badMail],
    ['MAIL FROM:<a>', badMail],
    ['MAIL FROM:<Postmaster>', badMail],
    ['MAIL', badMail],
    ['MAIL TO:<a@b>', badMail],
    ['MAIL FROM:<a@b>SIZE=3', badWord],
    ['MAIL FROM:<a@b> SIZE=3 SIZE=4', badWord],
    ['MAIL FROM:<a@b> =3', badWord],
    ['MAIL FROM:<a@b> SIZE=x', '501 5.5.4 Value of SIZE not understood'],
    ['MAIL FROM:<a@b> SIZE', '501 5.5.4 Value of SIZE not understood'],
    ['MAIL FROM:<a@b> BODY=BINARYMIME', '501 5.5.4 Value of BODY not understood'],
    ['MAIL FROM:<a@b> SMTPUTF8=yes', '501 5.5.4 Value of SMTPUTF8 not understood'],
    ['MAIL FROM:<a@b> AUTH=<>', '555 5.5.4 Parameter not offered'],
    ['MAIL FROM:<a@b> HOLDFOR=3', '555 5.5.4 Parameter not offered'],
    ['MAIL FROM:<李@例.test>', '553 5.6.7 This address needs SMTPUTF8'],
  ] as const) {
    assert.deepEqual(replies(`${command}\r\n`), [expected], command);
  }
  for (const [command, expected] of [
    ['RCPT TO:<>', '501 5.1.3 Write RCPT TO:<address>'],
    ['RCPT TO:<a>', '501 5.1.3 Write RCPT TO:<address>'],
    ['RCPT FROM:<a@b>', '501 5.1.3 Write RCPT TO:<address>'],
    ['RCPT TO:<a@b> BY=3;R', '555 5.5.4 Parameter not offered'],
    ['RCPT TO:<李@例.test>', '553 5.6.7 This address needs SMTPUTF8'],
    ['RCPT TO:<Postmaster>', '250 2.1.5 Ok'],
    ['RCPT TO:<@relay.example:a@b>', '250 2.1.5 Ok'],
  ] as const) {
    assert.deepEqual(replies(`MAIL FROM:<x@y>\r\n${command}\r\n`), ['250 2.1.0 Ok', expected], command);
  }
  const old = new Dialogue().send('HELO x\r\nMAIL FROM:<a@b> SIZE=3\r\n').take();
  assert.equal(old.at(-1), '555 5.5.4 Parameters need EHLO');
});

test('EHLO and HELO need a name that is safe to write down (RFC 5321 §4.1.1.1)', () => {
  for (const name of ['', 'a b', 'a(b)', 'a"b', 'a;b', '<a>', '[300.1.1.1]', 'x'.repeat(256), '例']) {
    const said = new Dialogue().send(`EHLO ${name}\r\nHELO ${name}\r\n`).take().slice(1);
    for (const reply of said) assert.match(reply, /^501 5\.5\.4 /, name);
    assert.equal(said.length, 2);
  }
  for (const name of ['[127.0.0.1]', '[IPv6:2001:db8::1]', 'under_score.local', 'WIN-PC', 'a.b.example']) {
    assert.match(new Dialogue().send(`HELO ${name}\r\n`).take()[1] ?? '', /^250 /, name);
  }
});

test('addresses beyond ASCII pass with SMTPUTF8 (RFC 6531)', () => {
  const dialogue = greeted();
  dialogue.send('MAIL FROM:<李@例.test> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<王@例.test>\r\nDATA\r\n.\r\n');
  assert.equal(dialogue.delivered[0]?.transaction.mailFrom, '李@例.test');
  assert.equal(dialogue.delivered[0]?.transaction.body, '8BITMIME');
  assert.equal(dialogue.delivered[0]?.recipients[0]?.address, '王@例.test');
  assert.deepEqual(replies(Buffer.from('MAIL FROM:<\xff@b> SMTPUTF8\r\n', 'latin1')), [
    '500 5.5.2 Commands are UTF-8 without control characters',
  ]);
});

test('a line over 2,048 octets is refused, the next one is served; one that does not end closes', () => {
  const fits = `NOOP ${'x'.repeat(2041)}\r\n`;
  assert.equal(fits.length, 2048);
  const dialogue = greeted();
  dialogue.send(`${fits}NOOP x${fits.slice(5)}NOOP\r\n`);
  assert.deepEqual(dialogue.take(), ['250 2.0.0 Ok', '500 5.5.2 Line over 2048 octets', '250 2.0.0 Ok']);
  assert.equal(dialogue.counts.get('smtp-line-too-long'), 1);
  dialogue.send('y'.repeat(70_000));
  assert.deepEqual(dialogue.take(), ['500 5.5.2 Line without end, closing']);
  assert.equal(dialogue.closed, true);
  assert.equal(dialogue.counts.get('smtp-line-endless'), 1);
});

test('over 1,000 recipients get 452 and the message goes to those accepted (RFC 5321 §4.5.3.1.10)', () => {
  const dialogue = greeted();
  dialogue.send(`MAIL FROM:<>\r\n${'RCPT TO:<b@two.example>\r\n'.repeat(1030)}DATA\r\n.\r\n`);
  const said = dialogue.take();
  assert.equal(said.filter((line) => line === '250 2.1.5 Ok').length, 1000);
  assert.equal(said.filter((line) => line === '452 4.5.3 Over 1000 recipients').length, 30);
  assert.equal(dialogue.delivered[0]?.recipients.length, 1000);
  assert.equal(dialogue.counts.get('smtp-too-many-recipients'), 30);
});

test('20 errors end the session with 421 4.7.0', () => {
  const dialogue = greeted();
  dialogue.send('FOO\r\n'.repeat(19));
  assert.equal(dialogue.closed, false);
  dialogue.send('FOO\r\nNOOP\r\n');
  assert.deepEqual(dialogue.take().slice(19), [
    '500 5.5.1 Unknown command',
    '421 4.7.0 mx.fengni.test Too many errors',
  ]);
  assert.equal(dialogue.closed, true);
  assert.equal(dialogue.counts.get('smtp-too-many-errors'), 1);
});

test('refused recipients count as errors, an accepted message forgives them', () => {
  const dialogue = greeted();
  const bad = 'RCPT TO:<unknown@x>\r\n'.repeat(15);
  dialogue.send(`MAIL FROM:<>\r\n${bad}RCPT TO:<b@x>\r\nDATA\r\n.\r\nMAIL FROM:<>\r\n${bad}`);
  assert.equal(dialogue.closed, false);
  assert.equal(dialogue.counts.get('smtp-recipient-refused'), 30);
  dialogue.send(bad);
  assert.equal(dialogue.closed, true);
  const later = greeted();
  later.send(`MAIL FROM:<>\r\n${'RCPT TO:<later@x>\r\n'.repeat(100)}`);
  assert.equal(later.closed, false);
});

test('100 NOOP, RSET or VRFY without mail end the session with 421 4.7.0', () => {
  const dialogue = greeted();
  dialogue.send('NOOP\r\nRSET\r\nVRFY x\r\n'.repeat(33));
  const last = dialogue.take().at(-1);
  assert.equal(last, '421 4.7.0 mx.fengni.test Too many commands without mail');
  assert.equal(dialogue.closed, true);
  assert.equal(dialogue.counts.get('smtp-too-many-idle-commands'), 1);
  const busy = greeted();
  for (let round = 0; round < 3; round++) busy.send(`${'NOOP\r\n'.repeat(90)}${envelope}DATA\r\n.\r\n`);
  assert.equal(busy.closed, false);
});

test('a size over the limit is refused at MAIL and at the end (RFC 1870 §6)', () => {
  assert.deepEqual(replies('MAIL FROM:<> SIZE=52428801\r\nMAIL FROM:<> SIZE=52428800\r\n'), [
    '552 5.3.4 Message over 52428800 octets',
    '250 2.1.0 Ok',
  ]);
  const settings = { sizeBytesMax: 1000 };
  const body = (octets: number): string => `${'x'.repeat(octets - 2)}\r\n`;
  const dialogue = greeted({ settings });
  dialogue.send(`${envelope}DATA\r\n${body(1000)}.\r\n${envelope}DATA\r\n${body(1001)}.\r\nNOOP\r\n`);
  const said = dialogue.take();
  assert.equal(said.filter((line) => line.startsWith('250 2.0.0 Ok id=')).length, 1);
  assert.deepEqual(said.slice(-2), ['552 5.3.4 Message over 1000 octets', '250 2.0.0 Ok']);
  assert.deepEqual(dialogue.aborts, ['size']);
  assert.equal(dialogue.counts.get('smtp-size'), 1);
  // Stuffed dots are not part of the message.
  const dots = greeted({ settings });
  dots.send(`${envelope}DATA\r\n.${'.'.repeat(998)}\r\n.\r\n`);
  assert.equal(dots.delivered[0]?.body.length, 1000);
});

test('a refused message that does not end is not read for ever', () => {
  const dialogue = greeted({ settings: { sizeBytesMax: 1000 } });
  dialogue.send(`${envelope}DATA\r\n`);
  for (let chunk = 0; chunk < 20 && !dialogue.closed; chunk++) dialogue.send('x'.repeat(10_000));
  assert.equal(dialogue.take().at(-1), '552 5.3.4 Message over 1000 octets');
  assert.equal(dialogue.closed, true);
  assert.equal(dialogue.counts.get('smtp-endless-data'), 1);
});

test('more than 50 Received fields are a loop; the body does not count (RFC 5321 §6.3)', () => {
  const hops = (count: number): string => 'received: from a by b; date\r\n'.repeat(count);
  const dialogue = greeted();
  dialogue.send(
    `${envelope}DATA\r\n${hops(50)}\r\n${hops(50)}.\r\n${envelope}DATA\r\n${hops(51)}\r\n.\r\nNOOP\r\n`,
  );
  const said = dialogue.take();
  assert.equal(dialogue.delivered.length, 1);
  assert.deepEqual(said.slice(-2), ['554 5.4.6 Loop: over 50 Received fields', '250 2.0.0 Ok']);
  assert.deepEqual(dialogue.aborts, ['loop']);
  assert.equal(dialogue.counts.get('smtp-loop'), 1);
  const stuffed = greeted({ settings: { receivedMax: 1 } });
  stuffed.send(`${envelope}DATA\r\n.Received: a\r\nX-Received: b\r\nReceived: c\r\n.\r\n`);
  assert.equal(stuffed.take().at(-1), '554 5.4.6 Loop: over 1 Received fields');
});

test('a bare CR or LF in a message: read to the end, 554 5.6.0 with its offset, closed', () => {
  for (const [data, octet, offset] of [
    ['ab\ncd', 'LF', 2],
    ['ab\rcd', 'CR', 2],
    ['\nab', 'LF', 0],
    ['..a\r\n\r\n\r\r\n', 'CR', 7],
  ] as const) {
    const dialogue = greeted();
    dialogue.send(`${envelope}DATA\r\n${data}\r\n.\r\nMAIL FROM:<smuggled@x>\r\n`);
    assert.equal(
      dialogue.take().at(-1),
      `554 5.6.0 Bare ${octet} at octet ${offset} of the data (counted from 0), closing`,
    );
    assert.equal(dialogue.closed, true);
    assert.deepEqual(dialogue.delivered, []);
    assert.deepEqual(dialogue.aborts, ['bare-octet']);
    assert.equal(dialogue.counts.get('smtp-bare-cr-or-lf-data'), 1);
  }
});

test('a bare CR or LF in a command closes: what follows may have been smuggled', () => {
  for (const octets of ['NOOP\nRSET\r\n', 'NO\rOP\r\n', 'RSET\r\r\n']) {
    const dialogue = greeted();
    dialogue.send(octets);
    assert.match(
      dialogue.take().join(),
      /^500 5\.5\.2 A line ends in CRLF: bare (?:CR|LF) received, closing$/,
    );
    assert.equal(dialogue.closed, true);
    assert.equal(dialogue.counts.get('smtp-bare-cr-or-lf-command'), 1);
  }
});

test('NUL and octets beyond ASCII are kept, NUL is counted', () => {
  const dialogue = greeted();
  const body = Buffer.from('Subject: \0\r\n\r\n\xff\xfe\0\r\n', 'latin1');
  dialogue.send(Buffer.concat([Buffer.from(`${envelope}DATA\r\n`), body, Buffer.from('.\r\n')]));
  assert.equal(dialogue.delivered[0]?.body, body.toString('latin1'));
  assert.equal(dialogue.counts.get('smtp-nul'), 1);
});

test('commands in clear behind STARTTLS are dropped, what was said before it is forgotten (RFC 3207 §4.2)', () => {
  const dialogue = greeted();
  dialogue.send(`${envelope}STARTTLS\r\nRSET\r\nEHLO evil\r\n`);
  dialogue.send('MAIL FROM:<evil@x>\r\n');
  assert.deepEqual(dialogue.take().slice(2), ['220 2.0.0 Ready to start TLS']);
  assert.equal(dialogue.handshakes, 1);
  assert.equal(dialogue.counts.get('smtp-starttls-injection'), 1);
  dialogue.act(dialogue.session.answer({ kind: 'secured', tls: testTls }));
  assert.deepEqual(dialogue.take(), []);
  dialogue.send('RCPT TO:<b@x>\r\nMAIL FROM:<a@b>\r\n');
  assert.deepEqual(dialogue.take(), ['503 5.5.1 MAIL first', '503 5.5.1 EHLO first']);
  dialogue.send(`${hello}${envelope}DATA\r\n.\r\n`);
  assert.deepEqual(dialogue.delivered[0]?.transaction.tls, testTls);
  assert.equal(dialogue.delivered[0]?.transaction.protocol, 'ESMTPS');
});

test('HTTP and TLS on a plain port are closed without a word', () => {
  const http = new Dialogue();
  http.take();
  http.send('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n');
  assert.deepEqual([http.take(), http.closed, http.counts.get('smtp-http')], [[], true, 1]);
  const tls = new Dialogue();
  tls.take();
  tls.send(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
  assert.deepEqual([tls.take(), tls.closed, tls.counts.get('smtp-tls-on-plain')], [[], true, 1]);
});

test('a refusal of the service reaches the peer as it is, on one printable line', () => {
  const refused = (code: number, enhanced: string, text: string): string | undefined =>
    replies(`${envelope}DATA\r\n.\r\n`, { outcome: () => ({ kind: 'refused', code, enhanced, text }) }).at(
      -1,
    );
  assert.equal(refused(452, '4.3.1', 'Disk nearly full'), '452 4.3.1 Disk nearly full');
  assert.equal(refused(552, '5.2.2', 'Over quota'), '552 5.2.2 Over quota');
  assert.equal(refused(550, '5.7.1', 'a\r\n250 ok 满'), '550 5.7.1 a?250 ok ?');
  assert.equal((refused(550, '5.7.1', 'x'.repeat(2000)) ?? '').length, 500);
  // A service that says nonsense has not accepted.
  assert.equal(refused(250, '2.0.0', 'fine'), '451 4.3.0 fine');
  const closing = greeted({
    recipient: () => ({ kind: 'refused', code: 421, enhanced: '4.3.2', text: 'going' }),
  });
  closing.send(`${envelope}NOOP\r\n`);
  assert.deepEqual(closing.take().slice(1), ['421 4.3.2 going']);
  assert.equal(closing.closed, true);
});

test('the peer is timed out with 421 4.4.2 and its message dropped', () => {
  const dialogue = greeted();
  dialogue.send(`${envelope}DATA\r\nabc`);
  dialogue.act(dialogue.session.timeOut());
  assert.deepEqual(dialogue.aborts, ['timeout']);
  assert.equal(dialogue.take().at(-1), '421 4.4.2 mx.fengni.test Timed out, closing');
  assert.equal(dialogue.closed, true);
  assert.equal(dialogue.counts.get('smtp-timeout'), 1);
  assert.deepEqual(dialogue.session.feed(Buffer.from('.\r\n')), []);
});

test('at shutdown idle sessions get 421 4.3.2, a message under way is finished first', () => {
  const idle = greeted();
  idle.act(idle.session.shutDown());
  assert.deepEqual(idle.take(), ['421 4.3.2 mx.fengni.test Shutting down']);
  const busy = greeted();
  busy.send(`${envelope}DATA\r\nabc\r\n`);
  busy.act(busy.session.shutDown());
  assert.equal(busy.closed, false);
  busy.take();
  busy.send('.\r\nMAIL FROM:<a@b>\r\n');
  assert.match(busy.take().join('|'), /^250 2\.0\.0 Ok id=\S+ sha256=\S+\|421 4\.3\.2 [^|]+$/);
  assert.equal(busy.delivered.length, 1);
  assert.equal(busy.closed, true);
  const refused = greeted({ settings: { sizeBytesMax: 2 } });
  refused.send(`${envelope}DATA\r\nabc\r\n`);
  refused.act(refused.session.shutDown());
  refused.send('.\r\n');
  assert.match(refused.take().at(-1) ?? '', /^421 4\.3\.2 /);
});

test('a peer that ends its side inside a message has not sent it; what is being decided is still answered', () => {
  const cut = greeted();
  cut.send(`${envelope}DATA\r\nabc\r\n`);
  cut.act(cut.session.peerEnded());
  assert.deepEqual([cut.aborts, cut.closed, cut.delivered.length], [['peer-gone'], true, 0]);
  const decided = greeted({ late: true });
  decided.act(decided.session.feed(Buffer.from(`${envelope}DATA\r\nabc\r\n.\r\nQUIT\r\n`)));
  decided.act(decided.session.peerEnded());
  decided.settle();
  assert.match(decided.take().at(-1) ?? '', /^221 /);
  assert.equal(decided.delivered.length, 1);
});

test('every counter of the engine has a meaning, and every name is written once', () => {
  for (const [name, meaning] of Object.entries(smtpCounters)) {
    assert.match(name, /^smtp-[a-z-]+$/);
    assert.notEqual(meaning, '');
  }
});
