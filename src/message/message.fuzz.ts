import assert from 'node:assert/strict';
import {
  bodyStructure,
  createMessageScanner,
  decodeStructure,
  decodeTransfer,
  encodeStructure,
  envelope,
  imapSection,
  type ParsedPart,
  parseMessage,
  rangesOctets,
  threadReferences,
  withPrefix,
} from './index.ts';

const text = (...lines: string[]): Uint8Array => Buffer.from(lines.join('\r\n'), 'latin1');

export const seeds: Uint8Array[] = [
  text('From: a@b', 'Subject: =?utf-8?q?x?=', '', 'body', ''),
  text(
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    '',
    'one',
    '--b',
    'Content-Type: text/html',
    '',
    'two',
    '--b--',
    '',
  ),
  text('Content-Type: multipart/digest; boundary="b"', '', '--b', '', 'Subject: x', '', 'y', '--b--', ''),
  text(
    'Content-Type: message/rfc822',
    '',
    'Content-Type: multipart/mixed; boundary=a',
    '',
    '--a',
    '',
    'x',
    '--a--',
  ),
  text(
    'Content-Type: multipart/mixed; boundary=a',
    '',
    '--a',
    'Content-Type: multipart/mixed; boundary=ab',
    '',
    '--ab',
    '',
    'x',
    '--a--',
  ),
  text(
    'Content-Transfer-Encoding: quoted-printable',
    'Content-Disposition: attachment; filename*0*=a; filename*1=b',
    '',
    '=41= ',
    'x',
  ),
  text('Subject: lone\rcr\nand lf', ' folded', 'no colon', '', '\0\xff'),
];

const prefix = text('Received: from x', 'Fengni-Seal: y', '');

/** Every promise of the parser on one message: chunking, nesting, storage, prefix, sections, and the texts that IMAP serves. */
export const run = (data: Uint8Array): void => {
  const parsed = parseMessage(data);
  const scanner = createMessageScanner();
  // The octets themselves say how they are cut.
  for (let at = 0; at < data.length; ) {
    const size = 1 + ((data[at] ?? 0) % 37);
    scanner.write(data.slice(at, at + size));
    at += size;
  }
  assert.deepEqual(scanner.end(), parsed);
  checkPart(parsed.root, data);
  const stored = decodeStructure(encodeStructure(parsed));
  assert.ok(stored !== null);
  const whole = parseMessage([prefix, data]);
  const shifted = withPrefix(stored, prefix);
  assert.equal(JSON.stringify(shifted), JSON.stringify(decodeStructure(encodeStructure(whole))));
  for (const made of [envelope(parsed), bodyStructure(parsed), bodyStructure(parsed, 'basic')])
    checkBalance(made);
  assert.deepEqual(envelope(whole), envelope(parsed));
  assert.deepEqual(bodyStructure(whole), bodyStructure(parsed));
  threadReferences(parsed);
  const octetsOf = (section: 'header' | 'text' | 'all'): number =>
    rangesOctets(imapSection(shifted, { part: [], text: section }) ?? []);
  assert.equal(octetsOf('header') + octetsOf('text'), octetsOf('all'));
  for (const part of [[1], [2], [1, 1], [1, 2], [2, 1]]) {
    for (const section of ['all', 'header', 'text', 'mime'] as const) {
      for (const { start, end } of imapSection(shifted, { part, text: section }) ?? []) {
        assert.ok(start < end && end <= shifted.size);
      }
    }
  }
};

const checkPart = (part: ParsedPart, data: Uint8Array): void => {
  assert.ok(
    part.headerStart <= part.blankStart && part.blankStart <= part.bodyStart && part.bodyStart <= part.end,
  );
  if (part.kind === 'leaf') decodeTransfer(data.subarray(part.bodyStart, part.end), part.encoding);
  let at = part.bodyStart;
  for (const child of part.children) {
    assert.ok(child.headerStart >= at && child.end <= part.end);
    checkPart(child, data);
    at = child.end;
  }
};

/** Parentheses outside of strings match, literals have the octets they announce, and no line end stands elsewhere. */
const checkBalance = (made: Uint8Array): void => {
  const value = Buffer.from(made).toString('latin1');
  let depth = 0;
  let at = 0;
  while (at < value.length) {
    const char = value[at] ?? '';
    if (char === '"') {
      for (at++; value[at] !== '"'; at++) {
        if (value[at] === '\\') at++;
        assert.ok(at < value.length && !/[\0\r\n\x80-\xff]/.test(value[at] ?? ''));
      }
      at++;
    } else if (char === '{') {
      const match = /^\{(\d+)\}\r\n/.exec(value.slice(at, at + 20));
      assert.ok(match !== null);
      at += match[0].length + Number(match[1]);
    } else {
      if (char === '(') depth++;
      else if (char === ')') depth--;
      else assert.match(char, /[A-Z0-9 ]/);
      at++;
      assert.ok(depth > 0 || at === value.length);
    }
  }
  assert.equal(depth, 0);
};
