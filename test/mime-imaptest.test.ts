/**
 * Third-party vectors: the FETCH scripts of Dovecot's imaptest about ENVELOPE, BODY and sections. What a script needs of
 * a server but FETCH of these items (flags, states) is not looked at here.
 *
 * Broken on purpose: with the default of Sender and Reply-To taken out of `envelope`, 5 of 6 expectations of
 * fetch-envelope fail; with the line end before a delimiter left in the part, 5 of 14 of fetch-body-mime and the one of
 * fetch-bodystructure.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  baseSubject,
  bodyStructure,
  clipRanges,
  decodeHeaderText,
  envelope,
  imapSection,
  type ParsedMessage,
  parseMessage,
  parseSection,
} from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { type Failure, report } from './support/verdicts.ts';

const folder = corpora('imap-imaptest');

type Value = string | { text: string; ignoresCr: boolean } | { variable: string } | Value[];

/** IMAP's words, lists and strings as the scripts write them; `{{{ … }}}` is a literal on lines of its own. */
const parseValues = (text: string): Value[] => {
  const stack: Value[][] = [[]];
  const add = (value: Value): void => void stack.at(-1)?.push(value);
  const tokens =
    /(~?)\{\{\{\n([\s\S]*?)\n?\}\}\}|\{(\d+)\}\r\n|"((?:[^"\\]|\\.)*)"|([()])|\$(\w+)|([^\s()[\]"{}$]+(?:\[[^\]]*\](?:<\d+>)?)?)/g;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const [, tilde, block, count, quoted, paren, variable, atom] = match;
    if (block !== undefined) add({ text: block.replace(/\n/g, '\r\n'), ignoresCr: tilde === '~' });
    else if (count !== undefined) {
      const start = tokens.lastIndex;
      tokens.lastIndex += Number(count);
      add({ text: text.slice(start, tokens.lastIndex), ignoresCr: false });
    } else if (quoted !== undefined) add({ text: quoted.replace(/\\(.)/g, '$1'), ignoresCr: false });
    else if (paren === '(') stack.push([]);
    else if (paren === ')') {
      const list = stack.pop() ?? [];
      add(list);
    } else if (variable !== undefined) add({ variable });
    else add((atom ?? '').toLowerCase());
  }
  return stack[0] ?? [];
};

const matches = (
  expected: Value | undefined,
  actual: Value | undefined,
  variables: Map<string, string>,
): boolean => {
  if (expected === undefined || actual === undefined) return expected === actual;
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) &&
      expected.length === actual.length &&
      expected.every((value, index) => matches(value, actual[index], variables))
    );
  }
  if (Array.isArray(actual) || typeof expected === 'string' || typeof actual === 'string')
    return expected === actual;
  if (!('text' in actual)) return false;
  if ('variable' in expected) {
    const known = variables.get(expected.variable);
    if (known === undefined) variables.set(expected.variable, actual.text);
    return known === undefined || known === actual.text;
  }
  if (expected.ignoresCr) return expected.text.replace(/\r/g, '') === actual.text.replace(/\r/g, '');
  return expected.text.toLowerCase() === actual.text.toLowerCase();
};

const readMbox = (file: string): Buffer[] =>
  fs
    .readFileSync(file, 'latin1')
    .split(/^From .*\n/m)
    .slice(1)
    .map((text) => Buffer.from(text.replace(/\n/g, '\r\n'), 'latin1'));

/** What FETCH answers for one item: name and value; null for items that are no matter of a message. */
const fetchItem = (item: string, octets: Buffer, parsed: ParsedMessage): [string, Value] | null => {
  const asText = (text: string): Value => ({ text, ignoresCr: false });
  const whole = (bytes: Uint8Array): Value => parseValues(Buffer.from(bytes).toString('latin1'))[0] ?? '';
  const section = (text: string, clip?: [number, number]): Value => {
    const spec = parseSection(text);
    let ranges = spec === null ? null : imapSection(parsed, spec);
    if (ranges === null) return 'nil';
    if (clip !== undefined) ranges = clipRanges(ranges, clip[0], clip[1]);
    return asText(ranges.map(({ start, end }) => octets.toString('latin1', start, end)).join(''));
  };
  const name = item.toLowerCase();
  const match = /^body(?:\.peek)?\[([^\]]*)\](?:<(\d+)\.(\d+)>)?$/i.exec(item);
  if (match !== null) {
    const [, spec = '', offset, count] = match;
    if (offset === undefined) return [`body[${spec.toLowerCase()}]`, section(spec)];
    return [`body[${spec.toLowerCase()}]<${offset}>`, section(spec, [Number(offset), Number(count)])];
  }
  switch (name) {
    case 'envelope':
      return [name, whole(envelope(parsed))];
    case 'body':
      return [name, whole(bodyStructure(parsed, 'basic'))];
    case 'bodystructure':
      return [name, whole(bodyStructure(parsed))];
    case 'rfc822':
      return [name, section('')];
    case 'rfc822.header':
      return [name, section('header')];
    case 'rfc822.text':
      return [name, section('text')];
    default:
      return null;
  }
};

for (const script of ['fetch-envelope', 'fetch-bodystructure', 'fetch-body', 'fetch-body-mime']) {
  test(`FETCH answers what imaptest's ${script} expects (RFC 9051 §6.4.5)`, {
    skip: folder === null && notRun,
  }, (t) => {
    const file = path.join(folder ?? '', script);
    const messages = readMbox(`${file}.mbox`);
    const parsed = messages.map((message) => parseMessage(message));
    const lines = fs.readFileSync(file, 'latin1').split('\n');
    const variables = new Map<string, string>();
    const failures: Failure[] = [];
    let total = 0;
    let items: string[] = [];
    for (let at = 0; at < lines.length; at++) {
      const command = /^ok fetch \S+ (.*)$/.exec(lines[at] ?? '');
      if (command !== null) {
        const list = (command[1] ?? '').replace(/^\((.*)\)$/, '$1');
        items = list.match(/[\w.]+(?:\[[^\]]*\](?:<[\d.]+>)?)?/g) ?? [];
        continue;
      }
      const start = at + 1;
      let line = lines[at] ?? '';
      while (line.includes('{{{') && !/\}\}\}[^{]*$/.test(line) && at < lines.length)
        line += `\n${lines[++at]}`;
      const reply = /^([*!]) (\d+) fetch ([\s\S]*)$/i.exec(line);
      if (reply === null) continue;
      const [, sign, number, rest = ''] = reply;
      const expected = parseValues(rest)[0];
      const octets = messages[Number(number) - 1];
      const message = parsed[Number(number) - 1];
      assert.ok(Array.isArray(expected) && octets !== undefined && message !== undefined, line);
      const answers = new Map(
        items.flatMap((item) => [fetchItem(item, octets, message) ?? []] as [string, Value][]),
      );
      for (let index = 0; index < expected.length; index += 2) {
        const name = expected[index];
        if (typeof name !== 'string' || name === 'flags') continue;
        total++;
        const isGood = matches(expected[index + 1], answers.get(name), variables) === (sign === '*');
        if (!isGood) {
          failures.push({
            case: `line ${start}`,
            what: `${name}: ${JSON.stringify(answers.get(name) ?? null)}`,
          });
        }
      }
    }
    report(t, `imap-imaptest-${script}`, total, failures);
    assert.ok(total > 0);
  });
}

test("base subjects order messages as imaptest's sort-subject expects (RFC 5256 §2.1)", {
  skip: folder === null && notRun,
}, (t) => {
  const file = path.join(folder ?? '', 'sort-subject');
  const keys = readMbox(`${file}.mbox`).map((message) => {
    const subject = parseMessage(message).root.values.find(({ name }) => name === 'subject')?.value ?? '';
    return baseSubject(decodeHeaderText(subject)).subject.toUpperCase();
  });
  const lines = fs.readFileSync(file, 'latin1').split('\n');
  const failures: Failure[] = [];
  for (const [line, sign] of [
    ['ok sort (subject) us-ascii all', 1],
    ['ok sort (reverse subject) us-ascii all', -1],
  ] as const) {
    const at = lines.indexOf(line);
    const expected = (lines[at + 1] ?? '').replace('* sort ', '');
    const order = keys
      .map((key, index) => ({ key, seq: index + 1 }))
      .sort((a, b) => (a.key === b.key ? a.seq - b.seq : a.key < b.key ? -sign : sign))
      .map(({ seq }) => seq)
      .join(' ');
    if (order !== expected) failures.push({ case: `line ${at + 1}`, what: `${order}, expected ${expected}` });
  }
  report(t, 'imap-imaptest-sort-subject', 2, failures);
});
