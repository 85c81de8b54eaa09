/**
 * Third-party vectors: the trees that Apache mime4j expects of its test messages (X.xml, octets as they are) and the decoded
 * bodies (X_decoded_N.txt, for those that X_decoded.xml names). A case is a tree or a body.
 *
 * By a rule:
 * - readable text: a multipart whose body opens no part has a preamble and no part there, here it is text
 *   (`docs/decisions/0007`): the preamble must be that text;
 * - inside an encoded message: a message/rfc822 in base64 or quoted-printable is decoded and parsed there, here a structure is
 *   one of the octets of the message: the decoded octets are parsed and must have its tree;
 * - malformedHeaderStartsBody: the messages of that name are read with mime4j's setting of that name, by which a header ends at
 *   the first line that is no field; here, as in Dovecot and without the setting, it ends at the empty line: they are read with
 *   an empty line put before that line. Lines after it get lost there ("The whole text should be recognized as body", says
 *   one of two lines, and has one): each line that is left must stand in ours, in order, and nothing of ours is lost.
 *
 * Broken on purpose: with closing delimiters taken for ordinary ones, 14 more trees and 21 more bodies fail; with base64
 * left as it is, 5 bodies.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decodeTransfer, type ParsedPart, parseHeaderFields, parseMessage } from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { type Failure, report, type Settled, Tally } from './support/verdicts.ts';

const folder = corpora('mime-mime4j');
const skip = folder === null && notRun;
const tally = new Tally('mime-mime4j');

const names = (): string[] =>
  fs
    .readdirSync(folder ?? '')
    .filter((file) => file.endsWith('.msg'))
    .map((file) => file.slice(0, -'.msg'.length))
    .sort();

const read = (file: string): string => fs.readFileSync(path.join(folder ?? '', file), 'latin1');

/** Line ends, and those at the edge of an element, say nothing in these files: some were changed by a checkout. */
const lines = (text: string): string => text.replace(/\r\n?/g, '\n').replace(/^\n+|\n+$/g, '');

interface Tree {
  fields: string[];
  body: string | Tree | { preamble: string; parts: Tree[]; epilogue: string };
}

const parseTree = (xml: string): Tree => {
  const tokens = [
    ...xml.replace(/<([\w-]+)\s*\/>/g, '<$1></$1>').matchAll(/<(\/?)([\w-]+)[^>]*?(\/?)>|([^<]+)/g),
  ];
  let at = 0;
  const plain = (text: string): string =>
    text
      .replace(/&lt;/g, '<')
      .replace(/&gt;/g, '>')
      .replace(/&quot;/g, '"')
      .replace(/&apos;/g, "'")
      .replace(/&amp;/g, '&');
  const peek = (): string => {
    while (tokens[at]?.[4] !== undefined && (tokens[at]?.[4] ?? '').trim() === '') at++;
    return tokens[at]?.[2] ?? '';
  };
  const text = (name: string): string => {
    assert.equal(peek(), name);
    let value = '';
    for (at++; tokens[at]?.[4] !== undefined; at++) value += tokens[at]?.[4] ?? '';
    assert.equal(tokens[at++]?.[2], name);
    return lines(plain(value));
  };
  const entity = (name: string): Tree => {
    assert.equal(peek(), name);
    at++;
    const fields: string[] = [];
    assert.equal(peek(), 'header');
    at++;
    while (peek() === 'field') fields.push(text('field'));
    at++;
    let body: Tree['body'] = '';
    const kind = peek();
    if (kind === 'body') body = text('body');
    else if (kind === 'message') body = entity('message');
    else if (kind === 'multipart') {
      at++;
      const preamble = peek() === 'preamble' ? text('preamble') : '';
      const parts: Tree[] = [];
      while (peek() === 'body-part') parts.push(entity('body-part'));
      const epilogue = peek() === 'epilogue' ? text('epilogue') : '';
      peek();
      at++;
      body = { preamble, parts, epilogue };
    }
    peek();
    at++;
    return { fields, body };
  };
  return entity('message');
};

/** What a message is compared as, and by which rules. */
interface Reading {
  message: string;
  root: ParsedPart;
  rules: Set<string>;
}

const readMessage = (octets: Buffer, rules: Set<string>, setting = ''): Reading => {
  const message = octets.toString('latin1');
  const noField = setting === '' ? undefined : parseHeaderFields(octets).find(({ name }) => name === '');
  if (noField === undefined) return { message, root: parseMessage(octets).root, rules };
  rules.add(setting);
  const split = `${message.slice(0, noField.start)}\r\n${message.slice(noField.start)}`;
  return { message: split, root: parseMessage(Buffer.from(split, 'latin1')).root, rules };
};

const readFile = (name: string, rules: Set<string>): Reading =>
  readMessage(
    fs.readFileSync(path.join(folder ?? '', `${name}.msg`)),
    rules,
    name.startsWith('malformedHeaderStartsBody') ? 'malformedHeaderStartsBody' : '',
  );

/** The lines of ours where theirs are some of them, in the same order. */
const withLostLines = (theirs: string, ours: string): string => {
  const rest = ours.split('\n')[Symbol.iterator]();
  return theirs.split('\n').every((line) => rest.some((own) => own === line)) ? ours : theirs;
};

/** The message that a part encloses where it is encoded, read by itself. */
const encodedMessage = ({ message, rules }: Reading, part: ParsedPart): Reading | null => {
  if (part.kind !== 'message' || part.encoding === 'identity') return null;
  rules.add('inside an encoded message');
  const octets = Buffer.from(message.slice(part.bodyStart, part.end), 'latin1');
  return readMessage(Buffer.from(decodeTransfer(octets, part.encoding)), rules);
};

const ourTree = (reading: Reading, part: ParsedPart): Tree => {
  const { message } = reading;
  const fields = message
    .slice(part.headerStart, part.blankStart)
    .split(/\r?\n(?![ \t])/)
    .map(lines)
    // What is no field is no <field> there.
    .filter((field) => /^[!-9;-~]+[ \t]*:/.test(field));
  const enclosed = encodedMessage(reading, part);
  if (enclosed !== null) return { fields, body: ourTree(enclosed, enclosed.root) };
  const [first] = part.children;
  if (part.kind === 'message' && first !== undefined) return { fields, body: ourTree(reading, first) };
  if (part.kind === 'leaf' || first === undefined)
    return { fields, body: lines(message.slice(part.bodyStart, part.end)) };
  const delimiters = (text: string): string =>
    lines(text)
      .replace(/(?:^|\n)--[^\n]*$/, '')
      .replace(/^--[^\n]*(?:\n|$)/, '');
  return {
    fields,
    body: {
      preamble: lines(delimiters(message.slice(part.bodyStart, first.headerStart))),
      parts: part.children.map((child) => ourTree(reading, child)),
      epilogue: lines(delimiters(message.slice(part.children.at(-1)?.end, part.end))),
    },
  };
};

/** Their tree with the text that a multipart without parts is here, where our body at that place is text, and with lost lines. */
const inOurForm = (theirs: Tree, ours: Tree, rules: Set<string>): Tree => {
  const { body } = theirs;
  if (typeof body === 'string') {
    if (typeof ours.body !== 'string' || !rules.has('malformedHeaderStartsBody')) return theirs;
    return { ...theirs, body: withLostLines(body, ours.body) };
  }
  if ('fields' in body) {
    const own = ours.body;
    if (typeof own === 'string' || !('fields' in own)) return theirs;
    return { ...theirs, body: inOurForm(body, own, rules) };
  }
  const own = ours.body;
  if (body.parts.length === 0 && typeof own === 'string') {
    rules.add('readable text');
    // The delimiters that open nothing are no text there.
    const pieces = own.split(/^--.*$/m).map(lines);
    const [preamble = '', epilogue = ''] = pieces;
    const isTheirs = lines(preamble) === body.preamble && lines(epilogue) === body.epilogue;
    return isTheirs ? { ...theirs, body: own } : theirs;
  }
  if (typeof own === 'string' || 'fields' in own) return theirs;
  const parts = body.parts.map((part, index) => {
    const ownPart = own.parts[index];
    return ownPart === undefined ? part : inOurForm(part, ownPart, rules);
  });
  return { ...theirs, body: { ...body, parts } };
};

test('the tree of header fields, parts, preambles and epilogues (mime-mime4j; RFC 2046 §5.1)', {
  skip,
}, (t) => {
  const failures: Failure[] = [];
  const settled: Settled[] = [];
  for (const name of names()) {
    const rules = new Set<string>();
    const reading = readFile(name, rules);
    const tree = ourTree(reading, reading.root);
    const ours = JSON.stringify(tree);
    const theirs = JSON.stringify(inOurForm(parseTree(read(`${name}.xml`)), tree, rules));
    if (ours !== theirs) {
      let at = 0;
      while (ours[at] === theirs[at]) at++;
      const from = Math.max(0, at - 80);
      failures.push({
        case: name,
        what: `\n   ours   ${ours.slice(from, at + 200)}\n   theirs ${theirs.slice(from, at + 200)}`,
      });
    } else if (rules.size > 0) settled.push({ case: name, rule: [...rules].join(' + ') });
  }
  report(t, 'mime-mime4j-trees', names().length, failures, { settled, tally });
});

test('decoded bodies, in the order of the leaves (mime-mime4j; RFC 2045 §6)', { skip }, (t) => {
  const failures: Failure[] = [];
  const settled: Settled[] = [];
  let total = 0;
  for (const name of names()) {
    const files = [...read(`${name}_decoded.xml`).matchAll(/<(?:text|binary)-body name="([^"]+)"/g)].map(
      ([, file]) => file ?? '',
    );
    const rules = new Set<string>();
    const leaves = (reading: Reading, part: ParsedPart): string[] => {
      const enclosed = encodedMessage(reading, part);
      if (enclosed !== null) return leaves(enclosed, enclosed.root);
      if (part.kind !== 'leaf') return part.children.flatMap((child) => leaves(reading, child));
      // Text here, a multipart without a leaf there.
      const header = reading.message.slice(part.headerStart, part.blankStart);
      if (/^content-type:\s*multipart\//im.test(header)) {
        rules.add('readable text');
        return [];
      }
      const octets = Buffer.from(reading.message.slice(part.bodyStart, part.end), 'latin1');
      return [Buffer.from(decodeTransfer(octets, part.encoding)).toString('latin1')];
    };
    const reading = readFile(name, rules);
    const bodies = leaves(reading, reading.root);
    for (const [index, file] of files.entries()) {
      total++;
      const expected = rules.has('malformedHeaderStartsBody')
        ? withLostLines(lines(read(file)), lines(bodies[index] ?? ''))
        : read(file);
      if (bodies.length !== files.length || lines(bodies[index] ?? '') !== lines(expected)) {
        failures.push({
          case: file,
          what: `${bodies.length} of ${files.length}: ${JSON.stringify(bodies[index]?.slice(0, 200))}\n   theirs ${JSON.stringify(expected.slice(0, 200))}`,
        });
      } else if (rules.size > 0) settled.push({ case: file, rule: [...rules].join(' + ') });
    }
  }
  report(t, 'mime-mime4j-bodies', total, failures, { settled, tally });
  assert.ok(total > 30);
});

test('at most 2 % of mime-mime4j are listed', { skip }, (t) => tally.check(t));
