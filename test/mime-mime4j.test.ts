/**
 * Third-party vectors: the trees that Apache mime4j expects of its test messages (X.xml, octets as they are) and the decoded
 * bodies (X_decoded_N.txt, for those that X_decoded.xml names).
 *
 * Broken on purpose: with closing delimiters taken for ordinary ones, 14 more trees and 21 more bodies fail; with base64
 * left as it is, 5 bodies.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decodeTransfer, type ParsedPart, parseMessage } from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { type Failure, report } from './support/verdicts.ts';

const folder = corpora('mime-mime4j');
const skip = folder === null && notRun;

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

const ourTree = (message: string, part: ParsedPart): Tree => {
  const fields = message
    .slice(part.headerStart, part.blankStart)
    .split(/\r?\n(?![ \t])/)
    .map(lines)
    // What is no field is no <field> there.
    .filter((field) => /^[!-9;-~]+[ \t]*:/.test(field));
  const [first] = part.children;
  if (part.kind === 'message' && first !== undefined) return { fields, body: ourTree(message, first) };
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
      parts: part.children.map((child) => ourTree(message, child)),
      epilogue: lines(delimiters(message.slice(part.children.at(-1)?.end, part.end))),
    },
  };
};

test('the tree of header fields, parts, preambles and epilogues (mime-mime4j; RFC 2046 §5.1)', {
  skip,
}, (t) => {
  const failures: Failure[] = [];
  for (const name of names()) {
    const message = read(`${name}.msg`);
    const ours = JSON.stringify(ourTree(message, parseMessage(Buffer.from(message, 'latin1')).root));
    const theirs = JSON.stringify(parseTree(read(`${name}.xml`)));
    if (ours !== theirs) {
      let at = 0;
      while (ours[at] === theirs[at]) at++;
      const from = Math.max(0, at - 80);
      failures.push({
        case: name,
        what: `\n   ours   ${ours.slice(from, at + 200)}\n   theirs ${theirs.slice(from, at + 200)}`,
      });
    }
  }
  report(t, 'mime-mime4j-trees', names().length, failures);
});

test('decoded bodies, in the order of the leaves (mime-mime4j; RFC 2045 §6)', { skip }, (t) => {
  const failures: Failure[] = [];
  let total = 0;
  for (const name of names()) {
    const message = fs.readFileSync(path.join(folder ?? '', `${name}.msg`));
    const files = [...read(`${name}_decoded.xml`).matchAll(/<(?:text|binary)-body name="([^"]+)"/g)].map(
      ([, file]) => file ?? '',
    );
    const leaves = (part: ParsedPart): ParsedPart[] =>
      part.kind === 'leaf' ? [part] : part.children.flatMap(leaves);
    const bodies = leaves(parseMessage(message).root).map((part) =>
      Buffer.from(decodeTransfer(message.subarray(part.bodyStart, part.end), part.encoding)).toString(
        'latin1',
      ),
    );
    for (const [index, file] of files.entries()) {
      total++;
      const expected = read(file);
      if (bodies.length !== files.length || lines(bodies[index] ?? '') !== lines(expected)) {
        failures.push({
          case: file,
          what: `${bodies.length} of ${files.length}: ${JSON.stringify(bodies[index]?.slice(0, 200))}\n   theirs ${JSON.stringify(expected.slice(0, 200))}`,
        });
      }
    }
  }
  report(t, 'mime-mime4j-bodies', total, failures);
  assert.ok(total > 30);
});
