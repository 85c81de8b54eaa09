import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bodyStructure,
  createMessageScanner,
  decodeStructure,
  encodeStructure,
  envelope,
  type MessageStructure,
  messageLimits,
  type ParsedMessage,
  type ParsedPart,
  parseMessage,
  type StructurePart,
  withPrefix,
} from './index.ts';
import { soup } from './message-soup.ts';

const octets = (text: string): Buffer => Buffer.from(text, 'latin1');
const parse = (text: string): ParsedMessage => parseMessage(octets(text));

const inPieces = (message: Buffer, sizes: readonly number[]): ParsedMessage => {
  const scanner = createMessageScanner();
  let at = 0;
  for (let index = 0; at < message.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    // A buffer of its own: the scanner may keep nothing of it.
    const piece = Buffer.from(message.subarray(at, at + size));
    scanner.write(piece);
    piece.fill(0x2d);
    at += size;
  }
  return scanner.end();
};

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const structureOnly = (structure: MessageStructure): unknown => {
  const part = ({
    kind,
    headerStart,
    blankStart,
    bodyStart,
    end,
    lines,
    encoding,
    fields,
    children,
  }: StructurePart): unknown => ({
    kind,
    headerStart,
    blankStart,
    bodyStart,
    end,
    lines,
    encoding,
    fields,
    children: children.map(part),
  });
  return plain({
    size: structure.size,
    startsWithBlank: structure.startsWithBlank,
    root: part(structure.root),
  });
};

const messages = fc.uint8Array({ maxLength: 60, size: 'max' }).map(soup);

test('the result is the same in every chunking (property)', () => {
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (message, sizes) => {
      const whole = plain(parseMessage(message));
      assert.deepEqual(plain(inPieces(message, [1])), whole);
      assert.deepEqual(plain(inPieces(message, sizes)), whole);
    }),
    { numRuns: 400 },
  );
});

test('parts lie within each other, in order, and fields cover the header (property)', () => {
  const check = (part: ParsedPart, isMessageHeader: boolean): void => {
    assert.ok(
      part.headerStart <= part.blankStart && part.blankStart <= part.bodyStart && part.bodyStart <= part.end,
    );
    assert.ok(part.bodyStart - part.blankStart <= 2);
    if (isMessageHeader) {
      let at = part.headerStart;
      for (const field of part.fields) {
        assert.equal(field.start, at);
        assert.ok(field.end > field.start);
        at = field.end;
      }
      assert.equal(at, part.blankStart);
    }
    let at = part.bodyStart;
    for (const child of part.children) {
      assert.ok(child.headerStart >= at && child.end <= part.end);
      check(child, part.kind === 'message');
      at = child.end;
    }
    if (part.kind === 'multipart') assert.ok(part.children.length > 0);
    if (part.kind === 'message') assert.equal(part.children.length, 1);
    if (part.kind === 'leaf') assert.equal(part.children.length, 0);
  };
  fc.assert(
    fc.property(messages, (message) => {
      const parsed = parseMessage(message);
      assert.equal(parsed.size, message.length);
      assert.equal(parsed.root.end, message.length);
      check(parsed.root, true);
      const lineEnds = (start: number, end: number): number =>
        message.subarray(start, end).filter((octet) => octet === 10).length;
      const count = (part: ParsedPart): void => {
        if (part.lines !== null) assert.equal(part.lines, lineEnds(part.bodyStart, part.end));
        part.children.forEach(count);
      };
      count(parsed.root);
      envelope(parsed);
      bodyStructure(parsed);
    }),
    { numRuns: 400 },
  );
});

test('a structure survives being stored, and damage is told or harmless (property)', () => {
  fc.assert(
    fc.property(messages, fc.nat(), fc.nat(255), (message, where, octet) => {
      const parsed = parseMessage(message);
      const stored = encodeStructure(parsed);
      const decoded = decodeStructure(stored);
      assert.ok(decoded !== null);
      assert.deepEqual(plain(decoded), structureOnly(parsed));
      assert.equal(decodeStructure(stored.subarray(0, stored.length - 1)), null);
      stored[where % stored.length] = octet;
      decodeStructure(stored);
    }),
    { numRuns: 400 },
  );
});

test('the structure behind a prefix is that of the whole (property)', () => {
  const prefix = octets('Received: from x\r\nAuthentication-Results: y; none\r\nReturn-Path: <>\r\n');
  fc.assert(
    fc.property(messages, (message) => {
      const original = parseMessage(message);
      const whole = parseMessage([prefix, message]);
      assert.deepEqual(structureOnly(withPrefix(original, prefix)), structureOnly(whole));
      const stored = decodeStructure(encodeStructure(original));
      assert.ok(stored !== null);
      assert.deepEqual(structureOnly(withPrefix(stored, prefix)), structureOnly(whole));
      assert.deepEqual(Buffer.from(envelope(whole)), Buffer.from(envelope(original)));
      assert.deepEqual(Buffer.from(bodyStructure(whole)), Buffer.from(bodyStructure(original)));
    }),
    { numRuns: 400 },
  );
});

const text = (message: string, part: StructurePart): string => message.slice(part.bodyStart, part.end);

test('the line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)', () => {
  const message =
    'Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n\r\n--b  \r\nX: y\r\n\r\ntwo--b\r\n--b--\r\nepilogue\r\n--b\r\n';
  const { root } = parse(message);
  assert.deepEqual(
    root.children.map((part) => text(message, part)),
    ['one\r\n', 'two--b'],
  );
  assert.deepEqual(
    root.children.map((part) => part.lines),
    [1, 0],
  );
});

test('the longest boundary wins, the innermost of equal ones (RFC 2046 §5.1.2)', () => {
  const inner = 'Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n\r\nx\r\n';
  const message = `Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n${inner}--ab\r\n\r\ny\r\n--ab--\r\n`;
  const { root } = parse(message);
  assert.deepEqual(
    root.children.map((part) => part.kind),
    ['multipart', 'leaf'],
  );
  assert.equal(root.children[0]?.children.length, 1);
  const same = 'Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n';
  const twice = parse(`Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n${same}--ab--\r\n`);
  assert.equal(twice.root.children[0]?.children.length, 1);
  const outer = parse(
    'Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--abc\r\n\r\ny',
  );
  assert.equal(outer.root.children.length, 2);
});

test('a multipart that never says where its parts begin is text (RFC 2045 §5.2)', () => {
  for (const header of ['multipart/mixed', 'multipart/mixed; boundary=""', 'multipart/mixed; boundary=b']) {
    const { root } = parse(`Content-Type: ${header}\r\n\r\nhello\r\n`);
    assert.equal(root.kind, 'leaf');
    assert.equal(root.mime.type, 'text');
    assert.equal(root.lines, 1);
  }
});

test('a tree deeper than the limit ends in a leaf of text, at linear cost', () => {
  let message = '';
  for (let depth = 0; depth < 10_000; depth++) {
    message += `Content-Type: multipart/mixed; boundary=b${depth}\r\n\r\n--b${depth}\r\n`;
  }
  const parsed = parse(message);
  let depth = 1;
  let part: ParsedPart = parsed.root;
  for (let child = part.children[0]; child !== undefined; child = part.children[0]) {
    part = child;
    depth++;
  }
  assert.equal(depth, messageLimits.depthMax);
  assert.equal(part.mime.type, 'text');
  assert.deepEqual(parsed.limitsReached, ['depth']);
  const enclosed = parse('Content-Type: message/rfc822\r\n\r\n'.repeat(10_000));
  assert.deepEqual(enclosed.limitsReached, ['depth']);
});

test('a million delimiters give as many parts as the limit says, and the last holds the rest', () => {
  const message = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\n'.repeat(1_000_000)}`;
  const parsed = parse(message);
  assert.equal(parsed.root.children.length, messageLimits.partsMax - 1);
  assert.equal(parsed.root.children.at(-1)?.end, message.length);
  assert.deepEqual(parsed.limitsReached, ['parts']);
});

test('a header of 50 MB costs no more than what is kept of it', () => {
  const scanner = createMessageScanner();
  scanner.write(octets('Subject: '));
  const piece = Buffer.alloc(1 << 20, 'x');
  for (let count = 0; count < 25; count++) scanner.write(piece);
  scanner.write(octets('\r\n'));
  const lines = Buffer.from('To: a@b\r\n'.repeat(100_000));
  for (let count = 0; count < 28; count++) scanner.write(lines);
  const parsed = scanner.end();
  assert.deepEqual(parsed.limitsReached, ['fields', 'values']);
  assert.equal(parsed.root.fields.length, messageLimits.fieldsMax);
  assert.ok(envelope(parsed).length < 64 * messageLimits.valuesOctetsMax);
});

test('lines in the header that are no field stay in it', () => {
  const message = 'From x\r\nSubject: a\r\n: no name\r\nBad Name: b\r\n b\r\nX : c\r\n\r\nbody';
  const { root } = parse(message);
  assert.deepEqual(
    root.fields.map((field) => [field.name, message.slice(field.start, field.end)]),
    [
      ['', 'From x\r\n'],
      ['subject', 'Subject: a\r\n'],
      ['', ': no name\r\n'],
      ['', 'Bad Name: b\r\n b\r\n'],
      ['x', 'X : c\r\n'],
    ],
  );
  assert.equal(text(message, root), 'body');
});

test('an empty message, a message of one octet, and one without a body', () => {
  for (const message of ['', 'x', '\n', '\r\n', '\r', 'A: b', 'A: b\r\n', '\0', '-', '--']) {
    const parsed = parse(message);
    assert.equal(parsed.size, message.length);
    assert.equal(parsed.root.end, message.length);
    assert.equal(Buffer.from(envelope(parsed)).toString(), '(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)');
  }
});
