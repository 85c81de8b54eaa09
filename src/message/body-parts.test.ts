import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bodyParts,
  htmlToText,
  isTnef,
  mediaType,
  type ParsedPart,
  parseMessage,
  partPlainText,
  partText,
  preview,
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
  ];
  for (const [html, text] of cases) assert.equal(htmlToText(html), text, html);
  for (const unit of ['<', '<!--', '<script>', '<a', '&', '&#', '</script', '<p>', ' ', '\n'])
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

test('TNEF is known by its type and by its name', () => {
  const part = (header: string): ParsedPart => parseMessage(Buffer.from(`${header}\r\n\r\n`)).root;
  assert.ok(isTnef(part('Content-Type: application/ms-tnef')));
  assert.ok(isTnef(part('Content-Type: application/octet-stream; name="WINMAIL.DAT"')));
  assert.ok(!isTnef(part('Content-Type: application/pdf')));
});
