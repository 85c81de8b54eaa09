/**
 * Third-party vectors: mail-parser's tables of header fields (addresses, Content-Type, dates, ids, lists, unstructured text;
 * of its Received fields the dates) and its messages with the offsets of every part. A case is a row of a table or a message
 * in one form of line ends. What a Received field says besides its date is not looked at: nothing here reads it.
 *
 * By a rule, where the table has mail-parser's own form of the same thing:
 * - blanks at a seam: it puts a blank between an encoded-word and text glued to it; compared without blanks;
 * - blanks in an id: it keeps them, here they go so that ids can be compared;
 * - comments in a name: it adds a mailbox's comments to the name (and makes an entry of a comment alone); here a comment is a
 *   name only after an address without brackets, as in Dovecot; compared without them;
 * - blanks beside a dot, blanks at the edge of a quoted name: it keeps them; compared without;
 * - no media type: what has no "/" is a "type" there; here `parseMediaType` says that it is none;
 * - a subtype is a token: it takes what follows a second "/" into it; compared up to there;
 * - raw UTF-8: it decodes octets in tokens, here they stay octets; compared decoded;
 * - an empty value: it leaves the parameter out;
 * - dates of trace fields: a year of two digits is of the first millennium there, here as RFC 5322 §4.3 has it; a zone by
 *   name counts nothing there; the fields of a date in asctime's order get mixed up (second 211), so that V8's Date.parse is
 *   what it is compared with;
 * - inside an encoded message: its offsets of a message/rfc822 in base64 are those in the decoded octets, and its end is
 *   that of the last line of base64; the decoded octets are parsed here too and compared with them;
 * - Dovecot's own test: `eml/malformed` are Dovecot's tests; where mail-parser finds other parts than Dovecot, the answer of
 *   Dovecot on record decides, and the form with LF must have the parts of the form with CRLF.
 *
 * Broken on purpose: with encoded-words never joined, 7 more rows of unstructured text and 4 of addresses fail; with short
 * years all in this century, 2 dates; with RFC 2231 series not joined, 2 of Content-Type; with the line end before a
 * delimiter left in the part, 24 messages.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  bodyStructure,
  decodeHeaderText,
  decodeParameter,
  decodeTransfer,
  type ParsedPart,
  parseDate,
  parseDisposition,
  parseMediaType,
  parseMessage,
  parseMessageIds,
} from '#message';
import { type AddressEntry, type Mailbox, parseAddressList } from '#message/address';
import { corpora, notRun } from './support/corpora.ts';
import { asDovecotGot, compareWithDovecot, dovecotAnswers } from './support/dovecot-answers.ts';
import { type Failure, report, type Settled, Tally } from './support/verdicts.ts';

const folder = corpora('mime-stalwart');
const skip = folder === null && notRun;

interface Row {
  header: string;
  expected: unknown;
}

const rows = (table: string): Row[] =>
  JSON.parse(fs.readFileSync(path.join(folder ?? '', `${table}.json`), 'utf8')) as Row[];

/** The value as the field that starts the text; what follows its last line is another one's. */
const fieldValue = (header: string): string =>
  parseMessage(Buffer.from(`Subject:${header}`)).root.values[0]?.value ?? '';

const tally = new Tally('mime-stalwart');

/** A rule's name and how it changes both sides; it counts for the rows where it makes them equal. */
type Rule = [
  name: string,
  ours: (value: unknown, header: string) => unknown,
  theirs: (value: unknown, header: string) => unknown,
];

const compare = (
  t: TestContext,
  table: string,
  decode: (value: string) => unknown,
  normalise = (value: unknown): unknown => value,
  rules: readonly Rule[] = [],
): void => {
  const failures: Failure[] = [];
  const settled: Settled[] = [];
  const all = rows(table);
  for (const [index, { header, expected }] of all.entries()) {
    let ours = decode(fieldValue(header));
    let theirs = normalise(expected);
    const isSame = (): boolean => JSON.stringify(ours) === JSON.stringify(theirs);
    const used: string[] = [];
    for (const [rule, ofOurs, ofTheirs] of rules) {
      if (isSame()) break;
      const before = JSON.stringify([ours, theirs]);
      ours = ofOurs(ours, header);
      theirs = ofTheirs(theirs, header);
      if (JSON.stringify([ours, theirs]) !== before) used.push(rule);
    }
    if (!isSame()) {
      failures.push({
        case: `${index}`,
        what: `${JSON.stringify(header)}\n   ours   ${JSON.stringify(ours)}\n   theirs ${JSON.stringify(theirs)}`,
      });
    } else if (used.length > 0) settled.push({ case: `${index}`, rule: used.join(' + ') });
  }
  report(t, `mime-stalwart-${table.replace('_', '-')}`, all.length, failures, { settled, tally });
};

const same = (value: unknown): unknown => value;
const withoutBlanks = (value: unknown): unknown => String(value).replace(/\s/g, '');

test('unstructured text (mime-stalwart; RFC 2047)', { skip }, (t) => {
  const atSeam = (value: unknown, header: string): unknown =>
    /[^\s]=\?[\w-]+\?[bq]\?|\?=[^\s=]/i.test(header) ? withoutBlanks(value) : value;
  compare(t, 'unstructured', decodeHeaderText, same, [['blanks at a seam', atSeam, atSeam]]);
});

test('lists of words (mime-stalwart; RFC 5322 §3.6.5)', { skip }, (t) => {
  compare(t, 'list', (value) =>
    decodeHeaderText(value)
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );
});

test('message-ids (mime-stalwart; RFC 5322 §3.6.4)', { skip }, (t) => {
  compare(t, 'id', parseMessageIds, (expected) => expected ?? [], [
    ['blanks in an id', same, (ids) => (ids as string[]).map(withoutBlanks)],
  ]);
});

interface TheirDate {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  tz_before_gmt: boolean;
  tz_hour: number;
  tz_minute: number;
}

/** Milliseconds of a date as the tables write it. */
const theirDate = (expected: unknown): unknown => {
  if (expected === null) return null;
  const { year, month, day, hour, minute, second, tz_before_gmt, tz_hour, tz_minute } = expected as TheirDate;
  const offset = (tz_hour * 60 + tz_minute) * (tz_before_gmt ? -1 : 1);
  return Date.UTC(year, month - 1, day, hour, minute, second) - offset * 60_000;
};

// RFC 5321 §4.4: the date of a trace field stands behind its last semicolon; one row of the dates is such a field.
const afterSemicolon = (value: string): string => value.slice(value.lastIndexOf(';') + 1);
const ourDate = (value: string): unknown => parseDate(afterSemicolon(value))?.epochMs ?? null;

test('dates (mime-stalwart; RFC 5322 §3.3)', { skip }, (t) => {
  compare(t, 'date', ourDate, theirDate);
});

test('the dates of trace fields (mime-stalwart; RFC 5321 §4.4)', { skip }, (t) => {
  const when = (header: string): string => afterSemicolon(header).trim();
  compare(t, 'received', ourDate, (row) => theirDate((row as { date?: unknown } | null)?.date ?? null), [
    [
      'no date of any calendar',
      same,
      (value, header) => {
        const text = when(header);
        if (!/^\w{3} \w{3} \d\d /.test(text)) return value;
        return Date.parse(/[+-]\d{4}| [A-Z]{3} /.test(text) ? text : `${text} +0000`);
      },
    ],
    [
      'a year of two digits',
      same,
      (value, header) => {
        const date = new Date(value as number);
        if (!/ \d\d \d\d:/.test(when(header)) || date.getUTCFullYear() >= 1950) return value;
        return date.setUTCFullYear(date.getUTCFullYear() + 100);
      },
    ],
    [
      'a zone by name',
      same,
      (value, header) => {
        const hours = { PST: -8, PDT: -7 }[/ (P[SD]T)$/.exec(when(header))?.[1] ?? ''] ?? 0;
        return (value as number) - hours * 3_600_000;
      },
    ],
  ]);
});

interface Named {
  name: string | null;
  address?: string | null;
  addresses?: Named[];
}

const eachName = (entries: unknown, change: (entry: Named) => Named | null): unknown =>
  (entries as Named[])
    .map((entry) => {
      const changed = change(entry);
      if (changed?.addresses === undefined) return changed;
      return { ...changed, addresses: eachName(changed.addresses, change) };
    })
    .filter((entry) => entry !== null);

/** The texts of the comments, nested ones too, without blanks and decoded. */
const comments = (header: string): Set<unknown> => {
  const found = new Set<unknown>();
  const open: number[] = [];
  for (const { 0: char, index } of header.matchAll(/\\[\s\S]|[()]/g)) {
    if (char === '(') open.push(index + 1);
    else if (char === ')') {
      const start = open.pop();
      if (start !== undefined) found.add(withoutBlanks(decodeHeaderText(header.slice(start, index))));
    }
  }
  return found;
};

const withoutComments = (entries: unknown, header: string): unknown => {
  const known = comments(header);
  if (known.size === 0) return entries;
  return eachName(entries, ({ name, ...rest }) => {
    const bare = name?.replace(/ \(.*\)$/, '') ?? null;
    const isComment = known.has(withoutBlanks(name ?? ''));
    if (isComment && rest.address === null) return null;
    return { name: isComment ? null : bare, ...rest };
  });
};

const withoutEdges = (entries: unknown): unknown =>
  eachName(entries, ({ name, ...rest }) => ({
    name: name?.trim() ?? null,
    ...rest,
    ...(typeof rest.address === 'string' ? { address: rest.address.replace(/ *\. */g, '.') } : {}),
  }));

test('addresses (mime-stalwart; RFC 5322 §3.4)', { skip }, (t) => {
  const text = (value: string | null): string | null => (value === null ? null : decodeHeaderText(value));
  const mailbox = ({ name, route, localPart, domain }: Mailbox): Named => ({
    name: text(name),
    address:
      localPart === null && domain === null
        ? null
        : `${route === null ? '' : `${route}:`}${localPart ?? ''}${domain === null ? '' : `@${domain}`}`,
  });
  compare(
    t,
    'address',
    (value) =>
      parseAddressList(value).map((entry: AddressEntry) =>
        entry.kind === 'mailbox'
          ? mailbox(entry)
          : { name: text(entry.name), addresses: entry.members.map(mailbox) },
      ),
    (expected) => {
      const { List: list, Group: groups } = expected as {
        List?: unknown[];
        Group?: { name: string | null; addresses: unknown[] }[];
      };
      // A group without a name holds what stands outside of groups.
      return (
        list ?? groups?.flatMap((group): unknown[] => (group.name === null ? group.addresses : [group])) ?? []
      );
    },
    [
      ['comments in a name', same, withoutComments],
      ['blanks beside a dot or at an edge', withoutEdges, withoutEdges],
    ],
  );
});

/** Of octets: no other letter than those of ASCII. */
const lower = (octets: string): string => octets.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

interface Content {
  c_type: string;
  c_subtype: string | null;
  attributes: [string, string | null][];
}

test('Content-Type and Content-Disposition (mime-stalwart; RFC 2045 §5.1, RFC 2231)', { skip }, (t) => {
  const decoded = (octets: unknown): unknown =>
    typeof octets === 'string' && /^[\0-\xff]*$/.test(octets)
      ? Buffer.from(octets, 'latin1').toString('utf8')
      : octets;
  const change = (value: unknown, to: (content: Content) => Content): unknown =>
    value === null ? null : to(value as Content);
  const utf8 = (value: unknown): unknown =>
    change(value, ({ c_type, c_subtype, attributes }) => ({
      c_type: decoded(c_type) as string,
      c_subtype: decoded(c_subtype) as string | null,
      attributes: attributes.map(([name, text]): [string, string | null] => [decoded(name) as string, text]),
    }));
  const withoutEmpty = (value: unknown): unknown =>
    change(value, (content) => ({
      ...content,
      attributes: content.attributes.filter(([, text]) => (text ?? '').trim() !== ''),
    }));
  const noMediaType = (value: unknown, header: string): unknown =>
    parseMediaType(fieldValue(header)) === null && (value as Content | null)?.c_subtype === null
      ? null
      : value;
  compare(
    t,
    'content_type',
    (value) => {
      const media = parseMediaType(value);
      const disposition = media === null ? parseDisposition(value) : null;
      const parameters = media?.parameters ?? disposition?.parameters ?? [];
      const names = [
        ...new Set(parameters.map(({ name }) => lower(name.replace(/(?:\*\d{1,4})?\*?$/, '')))),
      ].filter((name) => name !== '');
      const type = media?.type ?? disposition?.type;
      if (type === undefined) return null;
      return {
        c_type: lower(type),
        c_subtype: media === null ? null : lower(media.subtype),
        attributes: names.map((name) => [name, decodeParameter(parameters, name.toLowerCase())]).sort(),
      };
    },
    (expected) => {
      if (expected === null) return null;
      const { c_type, c_subtype, attributes } = expected as Partial<Content>;
      return {
        c_type: c_type?.toLowerCase(),
        c_subtype: c_subtype?.toLowerCase() ?? null,
        attributes: (attributes ?? []).filter(([name]) => !name.endsWith('-language')).sort(),
      };
    },
    [
      ['no media type', noMediaType, noMediaType],
      [
        'a subtype is a token',
        same,
        (value) =>
          change(value, (content) => ({
            ...content,
            c_subtype: content.c_subtype?.replace(/\/.*$/, '') ?? null,
          })),
      ],
      ['raw UTF-8', utf8, same],
      ['an empty value', withoutEmpty, withoutEmpty],
    ],
  );
});

interface TheirPart {
  offset_header: number;
  offset_body: number;
  offset_end: number;
  body: { Multipart?: number[]; Message?: { parts: TheirPart[] } } & Record<string, unknown>;
}

test('offsets of the parts (mime-stalwart; RFC 2046 §5.1)', { skip }, (t) => {
  const failures: Failure[] = [];
  const settled: Settled[] = [];
  const answers = new Map(dovecotAnswers().map((answer) => [answer.file, answer]));
  let total = 0;
  for (const kind of ['rfc', 'malformed']) {
    const base = path.join(folder ?? '', 'eml', kind);
    for (const name of fs
      .readdirSync(base)
      .filter((file) => file.endsWith('.eml'))
      .sort()) {
      for (const form of ['', '.crlf']) {
        const expectation = path.join(base, name.replace('.eml', `${form}.json`));
        if (!fs.existsSync(expectation)) continue;
        total++;
        const octets = fs.readFileSync(path.join(base, name));
        const text = octets.toString('latin1').replace(/\r?\n/g, form === '' ? '\n' : '\r\n');
        const message = Buffer.from(text, 'latin1');
        const { parts } = JSON.parse(fs.readFileSync(expectation, 'utf8')) as { parts: TheirPart[] };
        const theirs = (all: TheirPart[], part: TheirPart | undefined): unknown[] => {
          if (part === undefined) return [];
          const at = [part.offset_header, part.offset_body, part.offset_end];
          if (part.body.Multipart !== undefined) {
            return [...at, part.body.Multipart.map((child) => theirs(all, all[child]))];
          }
          const enclosed = part.body.Message;
          return enclosed === undefined ? at : [...at, [theirs(enclosed.parts, enclosed.parts[0])]];
        };
        const rules: string[] = [];
        const ours = (source: Buffer, part: ParsedPart): unknown[] => {
          const at = [part.headerStart, part.bodyStart, part.end];
          if (part.kind === 'leaf') return at;
          if (part.kind === 'message' && part.encoding === 'base64') {
            rules.push('inside an encoded message');
            at[2] = source.toString('latin1', 0, part.end).trimEnd().length;
            const decoded = Buffer.from(
              decodeTransfer(source.subarray(part.bodyStart, part.end), part.encoding),
            );
            return [...at, [ours(decoded, parseMessage(decoded).root)]];
          }
          return [...at, part.children.map((child) => ours(source, child))];
        };
        const expected = JSON.stringify(theirs(parts, parts[0]));
        const actual = JSON.stringify(ours(message, parseMessage(message).root));
        const answer = answers.get(`mime-stalwart/eml/${kind}/${name}`);
        if (actual !== expected && kind === 'malformed' && answer !== undefined) {
          const asGiven = asDovecotGot(octets);
          const parsed = parseMessage(asGiven);
          const positions = (part: ParsedPart): number[] => [
            part.headerStart,
            part.bodyStart,
            part.end,
            ...part.children.flatMap(positions),
          ];
          const withLf = (offset: number): number =>
            offset - (asGiven.toString('latin1', 0, offset).split('\r\n').length - 1);
          const inThisForm = positions(parsed.root).map((offset) => (form === '' ? withLf(offset) : offset));
          if (
            compareWithDovecot(answer.bodystructure, bodyStructure(parsed)) !== 'different' &&
            JSON.stringify(inThisForm) === JSON.stringify(positions(parseMessage(message).root))
          ) {
            settled.push({ case: `${kind}/${name}${form}`, rule: "Dovecot's own test" });
            continue;
          }
        }
        if (actual !== expected) {
          failures.push({
            case: `${kind}/${name}${form}`,
            what: `\n   ours   ${actual}\n   theirs ${expected}`,
          });
        } else for (const rule of rules) settled.push({ case: `${kind}/${name}${form}`, rule });
      }
    }
  }
  report(t, 'mime-stalwart-offsets', total, failures, { settled, tally });
  assert.ok(total > 50);
});

test('at most 2 % of mime-stalwart are listed', { skip }, (t) => tally.check(t));
