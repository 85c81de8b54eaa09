import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressKey, parseAddressList, parseEnvelopeAddress } from '#message/address';
import {
  baseSubject,
  bodyStructure,
  createMessageScanner,
  decodeHeaderText,
  decodeParameter,
  decodeStructure,
  decodeText,
  decodeTransfer,
  encodeStructure,
  envelope,
  guessCharset,
  htmlToText,
  imapSection,
  messageLimits,
  messageText,
  type ParsedPart,
  parseDate,
  parseDisposition,
  parseHeaderFields,
  parseMediaType,
  parseMessage,
  parseMessageIds,
  parseSection,
  preview,
  threadReferences,
  tnefFiles,
  unflow,
  withoutUuencode,
} from './index.ts';

// Mail that somebody made to cost much. Cost is CPU time of this thread at n and at 4n: a quadratic step shows as sixteen times.

const octets = (text: string): Buffer => Buffer.from(text, 'latin1');

const cpuMs = (work: () => void): number => {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
};

/** Less than that at 4n is cheap, whatever the ratio; the noise of a busy machine is within it. */
const cheapMs = 60;
const ratioMax = 9;
const attempts = 5;

/** Fails when four times the input costs more than nine times the CPU, each time that it is tried. */
const assertLinear = (name: string, work: (units: number) => void, units: number): void => {
  let worst = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    const large = cpuMs(() => work(4 * units));
    if (large <= cheapMs) return;
    const small = cpuMs(() => work(units));
    if (large <= ratioMax * small) return;
    worst = `${name}: ${small.toFixed(1)} ms for ${units}, ${large.toFixed(1)} ms for ${4 * units}`;
  }
  assert.fail(worst);
};

test('the measure of linear cost tells a quadratic step from a linear one', () => {
  const quadratic = (units: number): void => {
    let steps = 0;
    for (let at = 0; at < units; at++) for (let other = 0; other < at; other++) steps += other & 1;
    assert.ok(steps > 0);
  };
  assert.throws(() => assertLinear('quadratic', quadratic, 6_000), /quadratic: /);
  assertLinear('linear', (units) => void 'a'.repeat(units).replace(/a/g, 'bb'), 100_000);
});

const units = [
  '=?',
  '=?a?q?',
  '=?a?q?b?=',
  '=?a?q?\r\n ',
  '?',
  '(',
  '((',
  ')',
  '()',
  '"',
  '"a" ',
  '\\',
  '<',
  '>',
  '<>',
  '<a',
  '<a@b>',
  '[',
  '[a]',
  ']',
  ' ',
  '\t',
  '\r\n ',
  '\n',
  'a ',
  'a.',
  'a@',
  '@',
  ',',
  ';',
  ':',
  'a:',
  'g:a;',
  'a=',
  'a="',
  "a*0*=''%",
  'a*1=b;',
  '=\r\n ',
  '= ',
  '=4',
  '%',
  "'",
  're:',
  're: ',
  '(fwd) ',
  '[fwd:',
  '1 ',
  '1:',
  '+',
  '-',
  '~{',
  '~{!!',
  '\x0e',
  '\x1b$)A',
  '\x1b$B',
  '\x1b(B\x1b$B',
  '\xff',
  '\x81',
  '\xe4\xb8',
  '&',
  '&#',
  '&amp;',
  '</',
  '<!--',
  '<a b="',
  "<a b='>",
  '<style>',
  '<script></',
  '<p>',
  '> ',
  'begin 644 x\n',
  'begin 644 x\n#86)C\n',
  '#86)C\n',
  'M\n',
  'QUJD',
  'Q=',
  '====',
];

const functions: Record<string, (text: string) => void> = {
  decodeHeaderText,
  baseSubject,
  parseDate,
  parseMessageIds,
  parseDisposition,
  parseSection,
  parseEnvelopeAddress,
  addressKey,
  parseAddressList: (text) => parseAddressList(text),
  inBrackets: (text) => parseAddressList(`<${text}`),
  parameters: (text) => decodeParameter(parseMediaType(`a/b; ${text}`)?.parameters ?? [], 'a'),
  htmlToText,
  preview,
  unflow: (text) => unflow(text, true),
  withoutUuencode,
};

const labels = [
  null,
  'utf-8',
  'us-ascii',
  'iso-8859-1',
  'gb18030',
  'big5',
  'shift_jis',
  'euc-kr',
  'euc-jp',
  'hz',
  'utf-7',
  'iso-2022-kr',
  'iso-2022-cn',
  'iso-2022-jp',
  'utf-16',
  'utf-32',
];

const octetFunctions: Record<string, (text: Buffer) => void> = {
  base64: (text) => decodeTransfer(text, 'base64'),
  quotedPrintable: (text) => decodeTransfer(text, 'quoted-printable'),
  uuencode: (text) => decodeTransfer(text, 'uuencode'),
  uuencodeInside: (text) => decodeTransfer(Buffer.concat([octets('begin 644 x\n'), text]), 'uuencode'),
  guessCharset,
  parseHeaderFields,
  tnefFiles: (text) => tnefFiles(Buffer.concat([Buffer.from('789f3e220100', 'hex'), text])),
  ...Object.fromEntries(
    labels.map((label) => [`decodeText ${label}`, (text: Buffer) => decodeText(text, label)]),
  ),
};

test('no expression and no decoder costs more than its input: values', () => {
  for (const [name, work] of Object.entries(functions)) {
    for (const unit of units) {
      assertLinear(`${name} of ${JSON.stringify(unit)}`, (count) => work(unit.repeat(count)), 12_000);
    }
  }
});

test('no expression and no decoder costs more than its input: octets', () => {
  for (const [name, work] of Object.entries(octetFunctions)) {
    for (const unit of units) {
      assertLinear(`${name} of ${JSON.stringify(unit)}`, (count) => work(octets(unit.repeat(count))), 12_000);
    }
  }
});

/** Everything that is made of a message, and that its octets are all there. */
const whole = (message: Buffer, chunkOctets = message.length): void => {
  const scanner = createMessageScanner();
  for (let at = 0; at < message.length; at += chunkOctets)
    scanner.write(message.subarray(at, at + chunkOctets));
  const parsed = scanner.end();
  assert.equal(parsed.size, message.length);
  const made = [envelope(parsed), bodyStructure(parsed), bodyStructure(parsed, 'basic')];
  for (const text of made) assert.ok(text.length < 64 * messageLimits.valuesOctetsMax);
  const stored = encodeStructure(parsed);
  assert.ok(stored.length < 1 << 20);
  assert.ok(decodeStructure(stored) !== null);
  threadReferences(parsed);
  const { text } = messageText(parsed, (start, end) => message.subarray(start, end));
  // A line of uuencode that lost its blanks has 45 octets in three.
  assert.ok(text.length <= 16 * message.length);
  // HEADER and TEXT are the original, octet for octet.
  let at = 0;
  for (const section of ['header', 'text'] as const) {
    for (const { start, end } of imapSection(parsed, { part: [], text: section }) ?? []) {
      assert.equal(start, at);
      at = end;
    }
  }
  assert.equal(at, message.length);
  let parts = 0;
  const count = (part: ParsedPart): void => {
    parts++;
    for (const child of part.children) count(child);
  };
  count(parsed.root);
  assert.ok(parts <= messageLimits.partsMax + 1);
};

const mixed = 'Content-Type: multipart/mixed; boundary=bb\r\n\r\n';
const nested = (levels: number, boundary: (level: number) => string): string =>
  Array.from(
    { length: levels },
    (_, level) =>
      `Content-Type: multipart/mixed; boundary=${boundary(level)}\r\n\r\n--${boundary(level)}\r\n`,
  ).join('');

const messages: Record<string, (count: number) => string> = {
  'parts without end': (count) => mixed + '--bb\r\n\r\n'.repeat(count),
  'parts of a digest': (count) => mixed.replace('mixed', 'digest') + '--bb\n\n'.repeat(count),
  'closing delimiters': (count) => mixed + '--bb--\r\n'.repeat(count),
  'lines that nearly are delimiters': (count) => `${mixed}--bb\r\n\r\n${'--b\r\n'.repeat(count)}`,
  'lines of dashes': (count) => `${mixed}--bb\r\n\r\n${'--\n'.repeat(count)}`,
  'empty lines': (count) => `${mixed}--bb\r\n\r\n${'\n'.repeat(count)}`,
  'multiparts in each other': (count) => nested(count / 10, (level) => `b${level}`),
  'boundaries that begin with each other': (count) => nested(count / 100, (level) => 'b'.repeat(level % 90)),
  'multiparts of one boundary': (count) => `${mixed}--bb\r\n`.repeat(count / 10),
  'messages in each other': (count) => 'Content-Type: message/rfc822\r\n\r\n'.repeat(count / 10),
  'long boundaries again and again': (count) =>
    mixed + `--bb\r\n${nested(1, () => 'x'.repeat(7900))}\r\n`.repeat(count / 10_000),
  'fields without a value': (count) => 'a:\r\n'.repeat(count),
  'fields that are kept': (count) => 'From: a@b\r\n'.repeat(count),
  'a field of many lines': (count) => `To: a\r\n${' b,\r\n'.repeat(count)}`,
  'many Content-Type fields': (count) => 'Content-Type: text/plain; charset=utf-8\r\n'.repeat(count / 10),
  'many addresses': (count) => `To: ${'a@b,'.repeat(count)}\r\n`.repeat(4),
  'many parameters': (count) => `Content-Type: a/b${';a=b'.repeat(count)}\r\n`,
  'many ids': (count) => `References: ${'<a@b> '.repeat(count)}\r\n`,
  'lines without a colon': (count) => 'x\r\n'.repeat(count),
  'bare CR': (count) => '\r'.repeat(count),
  'nothing but NUL': (count) => '\0'.repeat(count),
  'broken base64': (count) => `Content-Transfer-Encoding: base64\r\n\r\n${'Q=*='.repeat(count)}`,
  'broken quoted-printable': (count) =>
    `Content-Transfer-Encoding: quoted-printable\r\n\r\n${'=4 ='.repeat(count)}`,
  'broken uuencode': (count) =>
    `Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n${'M\r\n'.repeat(count)}`,
  'uuencode in text without end': (count) => `\r\n${'begin 644 x\r\n#86)C\r\n'.repeat(count)}`,
  'HTML of open tags': (count) => `Content-Type: text/html\r\n\r\n${'<a b="'.repeat(count)}`,
  'TNEF of empty attributes': (count) =>
    `Content-Type: application/ms-tnef\r\n\r\n\x78\x9f\x3e\x22\x01\x00${`\x02\x02\x90\x06\x00${'\0'.repeat(6)}`.repeat(count)}`,
};

test('a message costs no more than its octets, in one piece and in small ones', () => {
  for (const [name, make] of Object.entries(messages)) {
    const made = new Map([20_000, 80_000].map((count) => [count, octets(make(count))]));
    assertLinear(name, (count) => whole(made.get(count) ?? Buffer.alloc(0)), 20_000);
    assertLinear(
      `${name}, 7 octets a piece`,
      (count) => whole(made.get(count) ?? Buffer.alloc(0), 7),
      20_000,
    );
  }
});

test('a tree 10,000 deep and a million parts are what the limits say', () => {
  const deep = octets(nested(10_000, (level) => `b${level}`));
  whole(deep);
  whole(deep, 3);
  assert.deepEqual(parseMessage(deep).limitsReached, ['depth']);
  const wide = octets(mixed + '--bb\r\n\r\nx\r\n'.repeat(1_000_000));
  whole(wide);
  assert.deepEqual(parseMessage(wide).limitsReached, ['parts']);
});

test('a header of 50 MB: one field, many lines, many fields, one line that is none', () => {
  const megabytes = 50;
  for (const [first, piece, limits] of [
    ['Subject: ', 'x'.repeat(1 << 20), ['values']],
    ['Subject: x\r\n', ` ${'y'.repeat(70)}\r\n`.repeat(14_000), ['values']],
    ['', `X-Field: ${'z'.repeat(1000)}\r\n`.repeat(1000), ['fields']],
    ['', 'x'.repeat(1 << 20), []],
  ] as const) {
    const scanner = createMessageScanner();
    scanner.write(octets(first));
    const buffer = octets(piece);
    for (let count = 0; count < megabytes; count++) scanner.write(buffer);
    const parsed = scanner.end();
    assert.equal(parsed.size, first.length + megabytes * buffer.length);
    assert.deepEqual(parsed.limitsReached, limits);
    assert.ok(envelope(parsed).length < 3 * messageLimits.fieldOctetsMax);
    assert.ok(encodeStructure(parsed).length < 1 << 17);
  }
});

test('a message of one octet, and one of the largest size: of nothing, of lines, of dashes', () => {
  for (let octet = 0; octet < 256; octet++) whole(Buffer.of(octet));
  const sizeMax = 50 << 20;
  const piece = 1 << 20;
  for (const unit of ['\0', 'x', `${'x'.repeat(76)}\r\n`, '--bb'.padEnd(64, '-')]) {
    const scanner = createMessageScanner();
    scanner.write(octets(`${mixed}--bb\r\nContent-Type: application/octet-stream\r\n\r\n`));
    const buffer = octets(unit.repeat(Math.ceil(piece / unit.length))).subarray(0, piece);
    const cost = cpuMs(() => {
      for (let count = 0; count < sizeMax / piece; count++) scanner.write(buffer);
    });
    const parsed = scanner.end();
    assert.equal(parsed.root.end, parsed.size);
    // Far more than it takes anywhere; a search of the whole for each line would take hours.
    assert.ok(cost < 20_000, `${JSON.stringify(unit.slice(0, 5))}: ${cost.toFixed(0)} ms`);
  }
});
