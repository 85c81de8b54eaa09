import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromLatin1 } from '#base/bytes';
import { corpora, notRun } from './support/corpora.ts';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { createImapServer, ImapPipe } from './support/imap-pipe.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const commands = [
  'a LOGIN fred secret\r\n',
  'a LOGIN {4+}\r\nfred {6}\r\nsecret\r\n',
  'a AUTHENTICATE PLAIN\r\nAGZyZWQAc2VjcmV0\r\n',
  'b SELECT INBOX\r\n',
  'b EXAMINE INBOX\r\n',
  'c FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE BODY[1.MIME] BODY.PEEK[HEADER.FIELDS (From "To")]<1.5>)\r\n',
  'd UID STORE 1:* +FLAGS.SILENT (\\Deleted \\Seen x)\r\n',
  'e EXPUNGE\r\n',
  'f APPEND INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" {12+}\r\nA: b\r\n\r\nhi\r\n\r\n',
  'f APPEND INBOX ~{3+}\r\n\0\r\n\r\n',
  'g SEARCH NOT (OR DELETED 1:2) UID 1:* SINCE 1-Jan-1970 SMALLER 100\r\n',
  'h IDLE\r\n',
  'DONE\r\n',
  'i COPY 1 INBOX\r\n',
  'i MOVE 1 a\r\n',
  'j CREATE "a/&g0l6P3ux-"\r\n',
  'j RENAME a b\r\n',
  'j DELETE b\r\n',
  'k LIST "" *\r\n',
  'k LSUB "" %\r\n',
  'l STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)\r\n',
  'm ID ("name" NIL)\r\n',
  'n CLOSE\r\n',
  'o UNSELECT\r\n',
  'p ENABLE X\r\n',
  'q NOOP\r\n',
  'p ENABLE QRESYNC IMAP4rev2 UTF8=ACCEPT\r\n',
  'b SELECT INBOX (QRESYNC (1001 1 1:3 (1:2 1:2)))\r\n',
  'b SELECT INBOX (CONDSTORE)\r\n',
  'c UID FETCH 1:* (FLAGS MODSEQ EMAILID THREADID SAVEDATE PREVIEW (LAZY)) (CHANGEDSINCE 0 VANISHED)\r\n',
  'c FETCH $ (BINARY.PEEK[1]<0.3> BINARY.SIZE[1] BINARY[])\r\n',
  'd STORE 1:2 (UNCHANGEDSINCE 5) -FLAGS (x)\r\n',
  'f APPEND INBOX {3+}\r\nabc (\\Seen) {3+}\r\nabc\r\n',
  'f APPEND INBOX UTF8 (~{3+}\r\nabc)\r\n',
  'g UID SEARCH RETURN (SAVE MIN COUNT) CHARSET GB18030 OR BODY {2+}\r\n\xb7\xe2 HEADER Subject "two" MODSEQ 1\r\n',
  'k LIST (SUBSCRIBED RECURSIVEMATCH) "" (% INBOX) RETURN (STATUS (SIZE DELETED HIGHESTMODSEQ))\r\n',
  'j CREATE c (USE (\\Sent))\r\n',
  'r STARTTLS\r\n',
  's FETCH 1 {2147483647}\r\n',
  't LOGOUT\r\n',
];

interface Outcome {
  output: string;
  faults: string[];
  ended: boolean;
}

/** Gives octets to a session in pieces, then ends the connection. */
const converse = async (
  octets: Uint8Array,
  sizes: readonly number[],
  selected: boolean,
): Promise<Outcome> => {
  const login = new MemoryLogin();
  const account = new MemoryAccount({ roles: true });
  account.add(
    'INBOX',
    fromLatin1('From: a@b.c\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x--\r\n'),
  );
  account.add('INBOX', fromLatin1('Subject: two\r\n\r\n'));
  login.accounts.set('fred', { password: 'secret', account });
  const counted: string[] = [];
  const pipe = new ImapPipe(createImapServer(login, { counted, appendBytesMax: 1000 }));
  if (selected) {
    await pipe.command('LOGIN fred secret');
    await pipe.command('SELECT INBOX');
    pipe.take();
  }
  let turn = 0;
  for (let at = 0; at < octets.length; ) {
    const size = Math.max(1, sizes[turn++ % sizes.length] ?? 1);
    pipe.send(octets.slice(at, at + size));
    at += size;
    if (turn % 3 === 0) await tick();
  }
  await tick();
  await tick();
  const output = pipe.take();
  pipe.session.closed();
  await tick();
  const faults = counted.filter((name) => name === 'imap-session-failed' || name === 'imap-command-failed');
  return { output, faults, ended: pipe.ended || pipe.destroyed };
};

const isWhole = (output: string): boolean => {
  let at = output.startsWith('* OK [CAPABILITY') ? output.indexOf('\r\n') + 2 : 0;
  while (at < output.length) {
    if (!/^(?:\* |\+ |[^ ]+ (?:OK|NO|BAD) )/.test(output.slice(at, at + 200))) return false;
    for (;;) {
      const end = output.indexOf('\r\n', at);
      if (end === -1) return false;
      const literal = /\{(\d+)\}$/.exec(output.slice(at, end));
      at = end + 2;
      if (literal === null) break;
      at += Number(literal[1]);
    }
  }
  return true;
};

const mutated: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.array(
      fc.oneof(fc.constantFrom(...commands), fc.constantFrom(...commands), fc.string({ maxLength: 20 })),
      { maxLength: 14 },
    ),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.constantFrom('', '\r\n', '\0', '"', '{5}', '(', ')', '*', '\xff', '{1+}\r\n', ' '),
      ),
      { maxLength: 5 },
    ),
  )
  .map(([parts, changes]) => {
    let text = Buffer.from(parts.join(''), 'utf8').toString('latin1');
    for (const [where, what] of changes) {
      const at = text.length === 0 ? 0 : where % text.length;
      text = text.slice(0, at) + what + text.slice(at + (what === '' ? 3 : 0));
    }
    return fromLatin1(text);
  });

for (const selected of [false, true]) {
  test(`whatever comes ${selected ? 'in a selected mailbox' : 'before the log-in'}, replies are whole and the server is well`, async () => {
    await fc.assert(
      fc.asyncProperty(
        mutated,
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }),
        async (octets, sizes) => {
          const outcome = await converse(octets, sizes, selected);
          assert.deepEqual(outcome.faults, []);
          assert.ok(isWhole(outcome.output), JSON.stringify(outcome.output));
        },
      ),
      { numRuns: 600 },
    );
  });
}

/** the second STORE makes answers tell MODSEQ (RFC 7162 §3.1), the first one's not yet */
const enablesBehindAnother =
  'd UID STORE 1:* +FLAGS.SILENT (x)\r\nd STORE 1:2 (UNCHANGEDSINCE 5) -FLAGS (x)\r\n';

test('the same replies come in every chunking', async () => {
  await fc.assert(
    fc.asyncProperty(mutated, fc.integer({ min: 1, max: 60 }), async (octets, size) => {
      const whole = await converse(octets, [octets.length || 1], true);
      assert.deepEqual(await converse(octets, [size], true), whole);
    }),
    { numRuns: 200, examples: [[fromLatin1(enablesBehindAnother), 1]] },
  );
});

test('a server’s replies as commands (fuzz seeds of mox) are harmless', async (t) => {
  const folder = corpora('imap-fuzzseed');
  if (folder === null) return t.skip(notRun);
  const lines = fs.readFileSync(path.join(folder, 'fuzzseed.txt'), 'latin1').split('\n');
  assert.ok(lines.length > 1000);
  for (let at = 0; at < lines.length; at += 15) {
    const octets = fromLatin1(
      lines
        .slice(at, at + 15)
        .map((line) => `${line.replace(/\r$/, '')}\r\n`)
        .join(''),
    );
    for (const selected of [false, true]) {
      const outcome = await converse(octets, [100_000], selected);
      assert.deepEqual(outcome.faults, []);
      assert.ok(isWhole(outcome.output), JSON.stringify(outcome.output));
    }
  }
});
