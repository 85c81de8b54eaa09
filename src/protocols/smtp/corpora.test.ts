import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import { cutsOfSize, Dialogue, testTls } from './dialogue.ts';

interface LineEndings {
  smuggling_end_of_data: { bytes: string; want: 'accept' | 'data-or-reject' }[];
  starttls_injection: { send: string; protocol?: string; want: string }[];
}

const lineEndings = (): LineEndings | null => {
  const folder = corpora('smtp-line-endings');
  return folder === null ? null : JSON.parse(fs.readFileSync(path.join(folder, 'line-endings.json'), 'utf8'));
};

const opening = 'EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n';
const second = 'MAIL FROM:<smuggled@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nsecond\r\n';

test('only CRLF.CRLF ends a message: the table of smuggling tries (RFC 5321 §4.1.1.4)', (t) => {
  const table = lineEndings();
  if (table === null) return t.skip(notRun);
  assert.equal(table.smuggling_end_of_data.length, 11);
  for (const { bytes, want } of table.smuggling_end_of_data) {
    const octets = Buffer.from(`${opening}first${bytes}${second}\r\n.\r\nQUIT\r\n`, 'latin1');
    for (const size of [octets.length, 1, 2, 3, 5, 7]) {
      const dialogue = new Dialogue().send(octets, cutsOfSize(octets.length, size));
      const senders = dialogue.delivered.map((delivered) => delivered.transaction.mailFrom);
      if (want === 'accept') {
        assert.deepEqual(senders, ['a@b.example', 'smuggled@b.example']);
        assert.equal(dialogue.delivered[0]?.body, 'first\r\n');
      } else if (bytes.includes('\0')) {
        // CRLF, NUL, dot: no bare octet, so it is content.
        assert.deepEqual(senders, ['a@b.example']);
        assert.equal(dialogue.delivered[0]?.body, `first${bytes}${second}\r\n`);
      } else {
        assert.deepEqual(senders, [], JSON.stringify(bytes));
        assert.match(dialogue.take().at(-1) ?? '', /^554 5\.6\.0 /);
      }
    }
  }
});

test('the table of STARTTLS injections: nothing sent in clear is answered over TLS (CVE-2011-0411)', (t) => {
  const table = lineEndings();
  if (table === null) return t.skip(notRun);
  const mine = table.starttls_injection.filter(
    ({ send, protocol }) => protocol === undefined && send?.startsWith('STARTTLS'),
  );
  assert.equal(mine.length, 2);
  for (const { send } of mine) {
    for (let size = 1; size <= send.length; size++) {
      const dialogue = new Dialogue().send('EHLO x\r\n');
      dialogue.take();
      dialogue.send(send, cutsOfSize(send.length, size));
      assert.deepEqual(dialogue.take(), ['220 2.0.0 Ready to start TLS']);
      dialogue.act(dialogue.session.answer({ kind: 'secured', tls: testTls }));
      dialogue.send('MAIL FROM:<c@d.example>\r\n');
      assert.deepEqual(dialogue.take(), ['503 5.5.1 EHLO first']);
    }
  }
});

/** What differs from James on purpose: an offer of AUTH, which this port does not make, and the words of the replies. */
const departures: Readonly<Record<string, string>> = {
  'authplain.test': 'port 25 offers no AUTH: it is answered 502',
  'starttls_with_injection.test':
    'James refuses STARTTLS with commands behind it (451); here it is accepted and they are dropped (RFC 3207 leaves both open)',
};

test('the SMTP dialogues of Apache James end with the same codes, or are named as departures', (t) => {
  const folder = corpora('smtp-james');
  if (folder === null) return t.skip(notRun);
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.test'));
  assert.equal(files.length, 7);
  for (const name of files) {
    const lines: string[] = fs.readFileSync(path.join(folder, name), 'utf8').split('\n');
    const client = lines.filter((line) => /^C:/.test(line)).map((line) => line.slice(2).replace(/^ /, ''));
    const expected: string[] = lines
      .filter((line) => /^S: \d/.test(line) && !/^S: 250-AUTH/.test(line))
      .map((line) => line.slice(3, 6));
    const dialogue = new Dialogue();
    for (const line of client)
      dialogue.send(`${line.replaceAll('\\r\\n', '\r\n')}${line.endsWith('\\n') ? '' : '\r\n'}`);
    const said = dialogue.take();
    if (Object.hasOwn(departures, name)) {
      if (name === 'authplain.test') assert.match(said[1] ?? '', /^502 5\.5\.1 /);
      else assert.deepEqual(said.slice(-1), ['220 2.0.0 Ready to start TLS']);
      continue;
    }
    // EHLO: James and we offer the same but AUTH, SIZE and SMTPUTF8; the number of its lines is not what is compared.
    const codes = (replies: readonly string[]): string[] =>
      replies
        .map((reply) => reply.slice(0, 3))
        .filter((code, index, all) => code !== '250' || all[index - 1] !== '250');
    assert.deepEqual(codes(said), codes(expected), name);
    if (name.startsWith('data') || name.startsWith('rcpt') || name === 'helo.test') {
      assert.equal(dialogue.delivered.length, 1, name);
      assert.match(dialogue.delivered[0]?.body ?? '', /content/, name);
    }
  }
});

test('internationalised messages are taken octet for octet with SMTPUTF8, and their senders need it (RFC 6531, corpus eai)', (t) => {
  const folder = corpora('eai');
  if (folder === null) return t.skip(notRun);
  const files = fs.readdirSync(folder).filter((name) => !/\.md$/.test(name));
  assert.equal(files.length, 6);
  for (const name of files) {
    const octets: Buffer = Buffer.from(
      fs.readFileSync(path.join(folder, name)).toString('latin1').replace(/\r?\n/g, '\r\n'),
      'latin1',
    );
    const from = /^From:.*?<?([^<>\s"]+@[^<>\s"]+?)>?\r$/m.exec(octets.toString('utf8'))?.[1] ?? '';
    assert.notEqual(from, '', name);
    const stuffed = octets.toString('latin1').replace(/^\./gm, '..');
    const dialogue = (parameter: string): Dialogue =>
      new Dialogue().send(
        Buffer.concat([
          Buffer.from(`EHLO x\r\nMAIL FROM:<${from}>${parameter}\r\nRCPT TO:<c@d.example>\r\nDATA\r\n`),
          Buffer.from(`${stuffed}\r\n.\r\n`, 'latin1'),
        ]),
        [40, 90, 140],
      );
    const taken = dialogue(' SMTPUTF8');
    assert.equal(taken.delivered[0]?.body, `${octets.toString('latin1')}\r\n`, name);
    assert.equal(taken.delivered[0]?.transaction.mailFrom, from);
    assert.equal(taken.delivered[0]?.transaction.protocol, 'UTF8SMTP');
    const isForeign = /[^\0-\x7f]/.test(from);
    assert.equal(dialogue('').delivered.length, isForeign ? 0 : 1, name);
  }
});
