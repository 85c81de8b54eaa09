import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clipRanges, imapSection, parseMessage, parseSection, rangesOctets, withPrefix } from './index.ts';
import { soup } from './message-soup.ts';

const single = 'From: a\r\nX-A: 1\r\n folded\r\nno colon\r\nSubject: s\r\nfrom: b\r\n\r\nbody\r\n';
const multi =
  'Content-Type: multipart/mixed; boundary=o\r\n\r\npre\r\n--o\r\nContent-Type: text/html\r\n\r\n<p>\r\n' +
  '--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nTo: t\r\n\r\nin body\r\n' +
  '--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i\r\n\r\ntwo\r\n--i--\r\n' +
  '--o\r\nContent-Type: message/global\r\n\r\nContent-Type: multipart/mixed; boundary=g\r\n\r\n--g\r\nX: y\r\n\r\ndeep\r\n--g--\r\n--o--\r\nepi\r\n';

const fetch = (message: string, section: string): string | null => {
  const parsed = parseSection(section);
  assert.ok(parsed !== null, section);
  const ranges = imapSection(parseMessage(Buffer.from(message)), parsed);
  return ranges === null ? null : ranges.map(({ start, end }) => message.slice(start, end)).join('');
};

test('sections of a message in one part (RFC 9051 §6.4.5.1)', () => {
  const header = single.slice(0, single.indexOf('body'));
  assert.equal(fetch(single, ''), single);
  assert.equal(fetch(single, 'HEADER'), header);
  assert.equal(fetch(single, 'TEXT'), 'body\r\n');
  assert.equal(fetch(single, '1'), 'body\r\n');
  assert.equal(fetch(single, '1.MIME'), header);
  assert.equal(fetch(single, 'HEADER.FIELDS (FROM)'), 'From: a\r\nfrom: b\r\n\r\n');
  assert.equal(fetch(single, 'header.fields ("x-a" nothing)'), 'X-A: 1\r\n folded\r\n\r\n');
  assert.equal(fetch(single, 'HEADER.FIELDS (Nothing)'), '\r\n');
  assert.equal(fetch(single, 'HEADER.FIELDS.NOT (from Subject)'), 'X-A: 1\r\n folded\r\nno colon\r\n\r\n');
  for (const none of ['2', '1.1', '1.HEADER', '1.TEXT', '1.1.MIME'])
    assert.equal(fetch(single, none), null, none);
});

test('sections of nested parts (RFC 9051 §6.4.5.1)', () => {
  const sections: [string, string | null][] = [
    ['1', '<p>'],
    ['1.MIME', 'Content-Type: text/html\r\n\r\n'],
    ['1.1', null],
    ['2', 'Subject: in\r\nTo: t\r\n\r\nin body'],
    ['2.HEADER', 'Subject: in\r\nTo: t\r\n\r\n'],
    ['2.HEADER.FIELDS (to)', 'To: t\r\n\r\n'],
    ['2.HEADER.FIELDS.NOT (to)', 'Subject: in\r\n\r\n'],
    ['2.TEXT', 'in body'],
    ['2.1', 'in body'],
    ['2.1.MIME', 'Subject: in\r\nTo: t\r\n\r\n'],
    ['2.2', null],
    ['3.1', 'one'],
    ['3.2', 'two'],
    ['3.2.MIME', '\r\n'],
    ['3.HEADER', null],
    ['3.3', null],
    ['4.1', 'deep'],
    ['4.1.MIME', 'X: y\r\n\r\n'],
    ['4.HEADER', 'Content-Type: multipart/mixed; boundary=g\r\n\r\n'],
    ['4.TEXT', '--g\r\nX: y\r\n\r\ndeep\r\n--g--'],
    ['5', null],
    ['4294967295', null],
  ];
  for (const [section, expected] of sections) assert.equal(fetch(multi, section), expected, section);
});

test('a message without an empty line gets none in its sections (RFC 9051 §6.4.5.1)', () => {
  assert.equal(fetch('From: a\r\nTo: b\r\n', 'HEADER.FIELDS (to)'), 'To: b\r\n');
  assert.equal(fetch('From: a\r\nTo: b', 'HEADER'), 'From: a\r\nTo: b');
  assert.equal(fetch('From: a\r\n', 'TEXT'), '');
  assert.equal(fetch('', '1'), '');
});

test('texts of sections that are none are refused', () => {
  for (const bad of [
    '0',
    '1.',
    '.1',
    '01',
    'MIME',
    'HEADERS',
    'HEADER.FIELDS',
    'HEADER.FIELDS ()',
    'HEADER.FIELDS (a',
    'HEADER.FIELDS (a(b))',
    'HEADER.FIELDS(a)',
    '1 2',
    '1.TEXT.1',
    ' ',
    'HEADER.FIELDS ("a)',
    'HEADER.FIELDS (a  b)',
  ]) {
    assert.equal(parseSection(bad), null, bad);
  }
  assert.deepEqual(parseSection('1.22.HEADER.FIELDS.NOT (a "b c")'), {
    part: [1, 22],
    text: 'header.fields.not',
    fields: ['a', 'b c'],
  });
});

test('a clipped section is the slice of its octets (property)', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20), fc.nat(20))),
      fc.nat(100),
      fc.nat(100),
      (steps, offset, count) => {
        let at = 0;
        const ranges = steps.map(([gap, length]) => {
          const start = at + gap;
          at = start + length;
          return { start, end: at };
        });
        const octets = ranges.flatMap(({ start, end }) =>
          Array.from({ length: end - start }, (_, index) => start + index),
        );
        const clipped = clipRanges(ranges, offset, count);
        assert.deepEqual(
          clipped.flatMap(({ start, end }) =>
            Array.from({ length: end - start }, (_, index) => start + index),
          ),
          octets.slice(offset, offset + count),
        );
        assert.equal(rangesOctets(clipped), octets.slice(offset, offset + count).length);
      },
    ),
  );
});

test('chosen fields and the others make up the header, also behind a prefix (property)', () => {
  const prefix = Buffer.from('Received: x\r\nTo: p\r\n');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60, size: 'max' }).map(soup), (original) => {
      const structure = withPrefix(parseMessage(original), prefix);
      const fields = ['subject', 'TO', 'content-type', 'received'];
      const named = imapSection(structure, { part: [], text: 'header.fields', fields });
      const others = imapSection(structure, { part: [], text: 'header.fields.not', fields });
      const header = imapSection(structure, { part: [], text: 'header' });
      const blank = structure.root.bodyStart - structure.root.blankStart;
      assert.equal(
        rangesOctets(named ?? []) + rangesOctets(others ?? []) - blank,
        rangesOctets(header ?? []),
      );
      const text = imapSection(structure, { part: [], text: 'text' });
      assert.equal(rangesOctets(header ?? []) + rangesOctets(text ?? []), structure.size);
    }),
  );
});
