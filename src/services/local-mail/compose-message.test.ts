import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMessage } from '#message';
import { type Composed, type ComposeOptions, composeMessage } from './compose-message.ts';

const options: ComposeOptions = {
  dotEnds: true,
  takesRecipients: false,
  from: { address: 'ann@example.org', name: 'Ann "A." Lee' },
  domain: 'example.org',
  hostname: 'mail.example.org',
  nowMs: Date.UTC(2026, 10, 24, 1, 2, 3),
  random: (length) => new Uint8Array(length).fill(0xab),
  bytesMax: 1_000_000,
};

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size), 'latin1');
}

const compose = (
  text: string,
  more: Partial<ComposeOptions> = {},
  size = text.length + 1,
): Promise<Composed> => composeMessage(pieces(text, size), { ...options, ...more });

const text = (composed: Composed): string => {
  assert.equal(composed.kind, 'message');
  if (composed.kind !== 'message') return '';
  const octets = Buffer.concat(composed.pieces);
  assert.equal(octets.length, composed.sizeBytes);
  return octets.toString('latin1');
};

const madeDate = 'Date: Tue, 24 Nov 2026 01:02:03 +0000\r\n';
const madeId = 'Message-ID: <20261124010203.abababababababababab@mail.example.org>\r\n';

test('what a script writes becomes a message: From, Date and Message-ID are added where they are missing (RFC 5322 §3.6)', async () => {
  assert.equal(
    text(await compose('Subject: hi\n\nHello\n')),
    `Subject: hi\r\nFrom: "Ann \\"A.\\" Lee" <ann@example.org>\r\n${madeDate}${madeId}\r\nHello\r\n`,
  );
  const whole = 'From: a@b.example\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-Id: <x@y>\n\nHello\n';
  assert.equal(text(await compose(whole)), whole.replaceAll('\n', '\r\n'));
  assert.match(
    text(await compose('Hello\n', { from: { address: 'x@y.example', name: '' } })),
    /^From: x@y\.example\r\n/,
  );
  const chinese = text(await compose('\n', { from: { address: 'x@y.example', name: '张伟'.repeat(20) } }));
  assert.match(chinese, /^From: =\?UTF-8\?B\?[A-Za-z0-9+/=]+\?= .* <x@y\.example>\r\n/);
  for (const word of /From: (.*) </.exec(chinese)?.[1]?.split(' ') ?? []) assert.ok(word.length <= 75, word);
});

test('the report of cron: header, blank line and body; its From and To get a domain', async () => {
  const cron =
    'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> test\nContent-Type: text/plain; charset=UTF-8\n\n10%\r20%\rdone\n';
  const made = text(await compose(cron, { takesRecipients: true }));
  assert.match(made, /^From: root@example\.org \(Cron Daemon\)\r\nTo: root@example\.org\r\n/);
  assert.ok(made.endsWith('\r\n\r\n10% 20% done\r\n'));
});

test('a header without an empty line ends where the first line is no field; From of a mailbox file is dropped', async () => {
  const [header, body] = text(await compose('Subject: x\n  more\nthis is no field\n\nbody\n')).split(
    '\r\n\r\n',
  );
  assert.match(header ?? '', /^Subject: x\r\n {2}more\r\nFrom: /);
  assert.match(body ?? '', /^this is no field$/);
  assert.match(text(await compose('From ann Tue Nov 24\nSubject: y\n\nb\n')), /^Subject: y\r\n/);
  assert.match(text(await compose('no header at all')), /\r\n\r\nno header at all\r\n$/);
  assert.match(text(await compose('')), /^From: .*\r\n\r\n$/s);
});

test('-t: recipients from To, Cc and Bcc, each once, groups too; Bcc is in no copy (RFC 5322 §3.6.3)', async () => {
  const mail =
    'To: Bo <bo@b.example>, friends: cy@c.example, "d d"@d.example;\nCC: root, bo@b.example\nBcc: secret@s.example,\n hidden@h.example\nX: 1\n\nb\n';
  for (let size = 1; size < 40; size += 3) {
    const composed = await compose(mail, { takesRecipients: true }, size);
    assert.deepEqual(composed.kind === 'message' && composed.recipients, [
      'bo@b.example',
      'cy@c.example',
      '"d d"@d.example',
      'root@example.org',
      'secret@s.example',
      'hidden@h.example',
    ]);
    const made = text(composed);
    assert.doesNotMatch(made, /bcc|secret|hidden/i);
    assert.match(made, /^To: .*\r\nCC: .*\r\nX: 1\r\n/);
  }
  const without = await compose(mail);
  assert.deepEqual(without.kind === 'message' && without.recipients, []);
  assert.doesNotMatch(text(without), /secret/);
});

test('-t: of a message that is sent on, those to whom it is sent on (RFC 5322 §3.6.6)', async () => {
  const composed = await compose('To: a@a.example\nResent-To: b@b.example\nResent-Bcc: c@c.example\n\n', {
    takesRecipients: true,
  });
  assert.deepEqual(composed.kind === 'message' && composed.recipients, ['b@b.example', 'c@c.example']);
  assert.doesNotMatch(text(composed), /c@c/);
});

test('-t: an address that is none is told; nobody is left out in silence', async () => {
  const composed = await compose('To: a@a.example, foo bar\n\n', { takesRecipients: true });
  assert.deepEqual(composed, { kind: 'recipient-malformed', text: 'foo bar' });
  const nobody = await compose('To: <>, nobody:;\n\n', { takesRecipients: true });
  assert.deepEqual(nobody.kind === 'message' && nobody.recipients, []);
});

test('addresses beyond ASCII are read as UTF-8', async () => {
  const mail = Buffer.from('To: 张伟@例子.example\n\n').toString('latin1');
  const composed = await compose(mail, { takesRecipients: true });
  assert.deepEqual(composed.kind === 'message' && composed.recipients, ['张伟@例子.example']);
});

test('bounds: a message, and a header, that are too large', async () => {
  assert.deepEqual(await compose(`a: b\n\n${'x'.repeat(5_000)}`, { bytesMax: 4_000 }), { kind: 'too-large' });
  assert.deepEqual(await compose(`a: ${'x'.repeat(1_200_000)}`, { bytesMax: 9_000_000 }, 65_536), {
    kind: 'header-too-large',
  });
  const body = await compose('x'.repeat(1_200_000), { bytesMax: 9_000_000 }, 65_536);
  assert.equal(text(body).split('\r\n\r\n')[1]?.length, 1_200_002);
});

test('whatever a program writes: it never throws, and what comes out has one From, a Date, a Message-ID and no Bcc', async () => {
  const piece = fc.constantFrom(
    'a: b\n',
    'Bcc: x\n',
    'from:y\n',
    '\n',
    ' fold\n',
    'text',
    '\r',
    ':',
    '.\n',
    'To: a@b,c\n',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 20 }),
      fc.integer({ min: 1, max: 9 }),
      async (parts, size) => {
        const composed = await compose(parts.join(''), { takesRecipients: true }, size);
        if (composed.kind !== 'message') return;
        const octets = Buffer.concat(composed.pieces);
        const names = parseMessage(octets).root.fields.map(({ name }) => name);
        assert.ok(!names.includes('bcc'));
        for (const name of ['date', 'message-id'])
          assert.equal(names.filter((each) => each === name).length, 1);
        assert.ok(names.includes('from'));
        assert.ok(names.every((name) => name !== ''));
      },
    ),
    { numRuns: 1_000 },
  );
});
