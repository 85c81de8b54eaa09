import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bodyParts,
  htmlToText,
  isTnef,
  mediaType,
  messageText,
  type ParsedPart,
  parseMessage,
  partPlainText,
  partText,
  preview,
  textLimits,
  unflow,
  withoutUuencode,
} from './index.ts';

const multipart = (subtype: string, boundary: string, ...parts: string[]): string =>
  `Content-Type: multipart/${subtype}; boundary=${boundary}\r\n\r\n${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`;

const leaf = (type: string, extra = ''): string => `Content-Type: ${type}\r\n${extra}\r\n${type}`;

test('the parts of RFC 8621 §4.1.4 are shown as it says', () => {
  // The example that stands there, parts A to K.
  const message = multipart(
    'mixed',
    'm',
    leaf('text/plain; x=A', 'Content-Disposition: inline\r\n'),
    multipart(
      'mixed',
      'n',
      multipart(
        'alternative',
        'a',
        multipart(
          'mixed',
          'o',
          leaf('text/plain; x=B', 'Content-Disposition: inline\r\n'),
          leaf('image/jpeg; x=C', 'Content-Disposition: inline\r\n'),
          leaf('text/plain; x=D', 'Content-Disposition: inline\r\n'),
        ),
        multipart('related', 'r', leaf('text/html; x=E'), leaf('image/jpeg; x=F')),
      ),
      leaf('image/jpeg; x=G', 'Content-Disposition: attachment\r\n'),
      leaf('application/x-excel; x=H'),
      leaf('message/rfc822; x=J', ''),
    ),
    leaf('text/plain; x=K', 'Content-Disposition: inline\r\n'),
  );
  const found = bodyParts(parseMessage(Buffer.from(message)));
  const names = (parts: ParsedPart[]): string =>
    parts.map(({ mime }) => mime.parameters.find(({ name }) => name === 'x')?.value).join('');
  assert.equal(names(found.text), 'ABCDK');
  assert.equal(names(found.html), 'AEK');
  assert.equal(names(found.attachments), 'CFGHJ');
});

test('a message of HTML alone is its own text', () => {
  const found = bodyParts(parseMessage(Buffer.from(leaf('text/html'))));
  assert.deepEqual(
    [found.text.map(mediaType), found.html.map(mediaType), found.attachments.length],
    [['text/html'], ['text/html'], 0],
  );
  const alternative = bodyParts(parseMessage(Buffer.from(multipart('alternative', 'a', leaf('text/html')))));
  assert.deepEqual(alternative.text.map(mediaType), ['text/html']);
});

test('the text of a part is decoded from its encoding and charset, also the one that HTML states', () => {
  const message = Buffer.concat([
    Buffer.from('Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n'),
    Buffer.from(
      Buffer.concat([
        Buffer.from('<html><head><meta charset=gb2312></head><p>'),
        Buffer.from([0xd6, 0xd0, 0xce, 0xc4]),
        Buffer.from('</p>'),
      ]).toString('base64'),
    ),
  ]);
  const { root } = parseMessage(message);
  const body = message.subarray(root.bodyStart, root.end);
  assert.match(partText(root, body), /<p>中文<\/p>/);
  assert.equal(partPlainText(root, body), '中文');
});

test('HTML becomes lines of text', () => {
  const cases: [string, string][] = [
    ['<p>One &amp; two</p><p>three<br>four</p>', 'One & two\n\nthree\nfour'],
    ['a<script>var x = "<b>";</script>b<style>p {}</style>c', 'abc'],
    ['<!-- x > y -->a<!--', 'a'],
    ['<table><tr><td>1</td><td>2</td></tr></table>', '1 2'],
    ['3 < 4 &lt; 5 &#20013;&#x6587; &nope; &#0;', '3 < 4 < 5 中文 &nope; \ufffd'],
    ['<b', ''],
    ['a<', 'a<'],
    ['<title>no</title>yes', 'yes'],
    // A `>` inside of an attribute; a letter whose lower case is longer before an element that is not read.
    ['<img alt="a > b" title=\'c > d\'>e', 'e'],
    ['it\'s <i>Bob\'s</i> "x"', 'it\'s Bob\'s "x"'],
    ['<a title="never closed>f', 'f'],
    ['İİİİ<SCRIPT>var x</Script>g', 'İİİİg'],
    ['&Agrave;&yuml;&frac12;&sup2;&shy;&times;', 'Àÿ½²×'],
  ];
  for (const [html, text] of cases) assert.equal(htmlToText(html), text, html);
  for (const unit of [
    '<',
    '<!--',
    '<script>',
    '<a',
    '&',
    '&#',
    '</script',
    '<p>',
    ' ',
    '\n',
    '<a b="',
    "<a b='>",
    '<style>x',
  ])
    htmlToText(unit.repeat(100_000));
});

test('a preview is one line without quotes, rules and links', () => {
  assert.equal(
    preview('Hello\r\n\r\n> quoted\r\n-----\r\nsee https://x.test/ there\r\n-- \r\nSignature'),
    'Hello see there',
  );
  assert.equal([...preview('中'.repeat(1000))].length, 256);
  assert.ok(preview('\u{1f600}'.repeat(1000)).isWellFormed());
  assert.equal(preview(''), '');
});

test('TNEF is known by its type, by its name and by its signature (MS-OXTNEF §2.1.3.1)', () => {
  const part = (header: string): ParsedPart => parseMessage(Buffer.from(`${header}\r\n\r\n`)).root;
  assert.ok(isTnef(part('Content-Type: application/ms-tnef')));
  assert.ok(isTnef(part('Content-Type: application/octet-stream; name="WINMAIL.DAT"')));
  assert.ok(isTnef(part('Content-Type: application/vnd.ms-tnef')));
  const pdf = part('Content-Type: application/pdf');
  assert.ok(!isTnef(pdf));
  assert.ok(!isTnef(pdf, Buffer.from('%PDF-1.4')));
  assert.ok(isTnef(pdf, Buffer.from([0x78, 0x9f, 0x3e, 0x22, 1, 0])));
  assert.ok(isTnef(part('Content-Transfer-Encoding: base64'), Buffer.from('eJ8+IgEA\r\n')));
});

test('format=flowed is put together, quote depth by quote depth (RFC 3676 §4)', () => {
  const cases: [flowed: string, deletesSpace: boolean, text: string][] = [
    ['a long \r\nline\r\nnext', false, 'a long line\nnext'],
    ['\u4e2d \r\n\u6587', true, '中文'],
    ['> quoted \r\n> on\r\n>> deeper \r\n> back', false, '> quoted on\n>> deeper \n> back'],
    [' > stuffed\r\n From here', false, '> stuffed\nFrom here'],
    ['text \r\n-- \r\nme', false, 'text \n-- \nme'],
    ['> -- \r\n> me \r\nyou', false, '> -- \n> me \nyou'],
    ['', false, ''],
  ];
  for (const [flowed, deletesSpace, text] of cases) assert.equal(unflow(flowed, deletesSpace), text, flowed);
  const message = Buffer.from(
    'Content-Type: text/plain; charset=utf-8; format=Flowed; delsp=YES\r\n\r\nhel \r\nlo\r\n',
  );
  const { root } = parseMessage(message);
  assert.equal(partPlainText(root, message.subarray(root.bodyStart, root.end)), 'hello\n');
});

test('uuencoded files are taken out of a text by their lines, and nothing else is', () => {
  const file = 'begin 644 a b.txt\r\n#86)C\r\n`\r\nend';
  assert.deepEqual(withoutUuencode(`before\r\n${file}\r\nafter`), {
    text: 'before\r\nafter',
    fileNames: ['a b.txt'],
  });
  assert.deepEqual(withoutUuencode(`${file}\n${file}`).fileNames, ['a b.txt', 'a b.txt']);
  for (const text of [
    'begin 644 x\nThis is prose, and longer than it says.\nend',
    'begin 644 x\n#86)C',
    'begin with this',
    'We begin 644 x\nend',
    '',
  ]) {
    assert.deepEqual(withoutUuencode(text), { text, fileNames: [] });
  }
});

test('a message as text: body, attached text, enclosed messages, names of files', () => {
  const enclosed = `Subject: =?utf-8?q?inner_=C3=A9?=\r\n${leaf('text/plain')}`;
  const message = Buffer.from(
    multipart(
      'mixed',
      'm',
      multipart('alternative', 'a', leaf('text/plain'), leaf('text/html')),
      'Content-Type: image/png; name=pixel.png\r\n\r\nno words',
      'Content-Type: text/csv; name=table.csv\r\nContent-Disposition: attachment\r\n\r\nx,y',
      `Content-Type: message/rfc822\r\n\r\n${enclosed}`,
      `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from(enclosed.replace('inner', 'encoded')).toString('base64')}`,
      `Content-Type: text/plain\r\n\r\nlook\r\nbegin 644 uu.txt\r\n#86)C\r\n\x60\r\nend\r\n`,
    ),
  );
  const {
    text,
    preview: shown,
    fileNames,
    isCut,
  } = messageText(parseMessage(message), (start, end) => message.subarray(start, end));
  assert.equal(text.split(/\s*\n/).join('|'), 'text/plain|look|x,y|inner é|text/plain|encoded é|text/plain');
  assert.equal(shown, 'text/plain look');
  assert.deepEqual(fileNames, ['pixel.png', 'uu.txt', 'table.csv']);
  assert.equal(isCut, false);
});

test('a message as text is bounded in characters, octets and names', () => {
  const parts = Array.from({ length: 40 }, () => `Content-Type: text/plain\r\n\r\n${'x '.repeat(1 << 19)}`);
  const message = Buffer.from(multipart('mixed', 'm', ...parts));
  let octetsRead = 0;
  const { text, isCut } = messageText(parseMessage(message), (start, end) => {
    octetsRead += end - start;
    return message.subarray(start, end);
  });
  assert.ok(isCut);
  assert.ok(text.length <= textLimits.lengthMax && octetsRead <= textLimits.octetsMax);
  const inner = `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n`;
  let nested = Buffer.from('Subject: deepest\r\n\r\n');
  for (let depth = 0; depth < 10; depth++) nested = Buffer.from(inner + nested.toString('base64'));
  const found = messageText(parseMessage(nested), (start, end) => nested.subarray(start, end));
  assert.deepEqual([found.isCut, found.text.includes('deepest')], [true, false]);
});
