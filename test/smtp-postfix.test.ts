/**
 * Third-party vectors: tables of Postfix. Its smtpd_check tables (access lists, restrictions, DNS lists, null MX, DSN codes of rejects) and
 * its cleanup, rewriting, resolving and milter tables are about settings that this server does not have; they are not looked at. Looked
 * at are what its MIME scanner takes for a header of the message, of a part and of an enclosed message (global/mime_*.ref), what its
 * parser of addresses finds (global/tok822_parse.ref), and the arguments of MAIL that its tokenizer is tried with (smtpd_token.in).
 *
 * Broken on purpose: with message/rfc822 taken for a leaf, 1 of 8 MIME files differs (the only one that encloses a message whose header
 * is whole); with quotes kept in local parts, 4 of 20 texts with addresses.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type ParsedPart, parseHeaderFields, parseMessage } from '#message';
import { mailboxesOf, parseAddressList } from '#message/address';
import { readPath } from '../src/protocols/smtp/path.ts';
import { corpora, notRun } from './support/corpora.ts';

const folder = corpora('smtp-postfix');
const read = (name: string): string => fs.readFileSync(path.join(folder ?? '', name), 'latin1');

type Label = 'MAIN' | 'MULT' | 'NEST';
interface Line {
  label: Label;
  text: string;
}

/** Fields as the reference names them: of the message, of a part, of what a part encloses. */
const expectedFields = (reference: string): Line[] => {
  const fields: Line[] = [];
  let open = false;
  for (const line of reference.split('\n')) {
    const [, label, text = ''] = /^(MAIN|MULT|NEST) \d+\t\|(.*)$/.exec(line) ?? [];
    if (label !== undefined) {
      fields.push({ label: label as Label, text });
      open = true;
    } else if (open && /^[ \t]/.test(line)) {
      const last = fields.at(-1);
      if (last !== undefined) last.text += `\n${line}`;
    } else open = false;
  }
  return fields;
};

const ourFields = (octets: Buffer): Line[] => {
  const found: (Line & { at: number })[] = [];
  const walk = (part: ParsedPart, label: Label): void => {
    const header = octets.subarray(part.headerStart, part.blankStart);
    for (const { name, start, end } of parseHeaderFields(header)) {
      // By rule: a line that is no field ends a header for Postfix; here, as for Dovecot, what follows it is header all the same.
      if (name === '') break;
      const text = header.toString('latin1', start, end).replace(/\r?\n$/, '');
      found.push({
        label,
        at: part.headerStart + start,
        text: text.replaceAll('\r\n', '\n').replace(/^([\w-]+)[ \t]+:/, '$1:'),
      });
    }
    for (const child of part.children) walk(child, part.kind === 'message' ? 'NEST' : 'MULT');
  };
  walk(parseMessage(octets).root, 'MAIN');
  return found.sort((a, b) => a.at - b.at).map(({ label, text }) => ({ label, text }));
};

test('MIME: the same lines are fields of the message, of parts and of enclosed messages', (t) => {
  if (folder === null) return t.skip(notRun);
  // Not `test`: its media type has a word too many, `multipart/mumble mumble; boundary=…`, which Postfix passes over. Here, as for
  // Dovecot, that is no media type, so that nobody sees parts where a client sees text.
  const names = ['8bit', 'dom', 'garb1', 'garb2', 'garb3', 'garb4', 'nest', 'trunc'];
  const differ: string[] = [];
  let fields = 0;
  for (const name of names) {
    const octets = Buffer.from(read(`global/mime_${name}.in`).replace(/\r?\n/g, '\r\n'), 'latin1');
    const expected = expectedFields(read(`global/mime_${name}.ref`));
    fields += expected.length;
    // By rule: Postfix cuts a field at its limit; here every octet stays.
    const cut = (lines: readonly Line[]): Line[] =>
      lines.map(({ label, text }) => ({ label, text: text.slice(0, 1_000) }));
    try {
      assert.deepEqual(cut(ourFields(octets)), cut(expected));
    } catch (error) {
      differ.push(`${name}: ${(error as Error).message}`);
    }
  }
  t.diagnostic(`${names.length - differ.length} of ${names.length} files, ${fields} fields`);
  assert.deepEqual(differ, []);
});

/** A backslash outside of quotes is nobody's syntax: Postfix reads `wietse\\ venema` as a local part with a blank, we as two words. */
const listedAddresses: ReadonlySet<string> = new Set(['wietse\\ venema@porcupine.org']);

test('addresses: the same local parts and domains are found', (t) => {
  if (folder === null) return t.skip(notRun);
  const differ: string[] = [];
  let addresses = 0;
  for (const block of read('global/tok822_parse.ref').split('>>>').slice(1)) {
    const text = block.slice(0, block.indexOf('<<<'));
    const internalized = /Internalized:\n([\s\S]*?)\n\n/.exec(block)?.[1] ?? '';
    const ours = mailboxesOf(parseAddressList(text)).flatMap(({ localPart, domain }) =>
      localPart === null || domain === null ? [] : [`${localPart}@${domain}`],
    );
    const theirs = (
      internalized.replace(/\([^)]*\)?|(?<!\[)"[^"]*$/g, ' ').match(/[^\s<>,:;@][^<>,:;@]*@[^\s<>,:;()]+/g) ??
      []
    ).map((address) => address.replace(/^named group: /, ''));
    addresses += theirs.length;
    const same =
      theirs.length === ours.length && theirs.every((address, at) => address.startsWith(ours[at] ?? '-'));
    if (!same && !listedAddresses.has(text))
      differ.push(`${text}: ${theirs.join(' | ')} for ${ours.join(' | ')}`);
  }
  t.diagnostic(`${addresses} addresses, ${listedAddresses.size} listed`);
  assert.deepEqual(differ, []);
});

test('MAIL: of the arguments that a tokenizer is tried with, the two are taken that RFC 5321 allows', (t) => {
  if (folder === null) return t.skip(notRun);
  const taken = read('smtpd_token.in')
    .trimEnd()
    .split('\n')
    .filter((line) => {
      const argument = line.slice(line.indexOf(':') + 1);
      const found = readPath(argument, 0);
      return found !== null && found.next === argument.length;
    });
  assert.deepEqual(taken, ['mail from:<wietse@porcupine.org>', 'mail from:<"wietse venema"@porcupine.org>']);
});
