import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { messagePreview, parseMessage, previewLimits } from './index.ts';

const { messageOctetsMax, lengthMax } = previewLimits;

const previewOf = (message: string | Uint8Array, encoding: 'utf8' | 'latin1' = 'utf8'): string => {
  const octets = typeof message === 'string' ? Buffer.from(message, encoding) : message;
  return messagePreview(parseMessage(octets), octets.subarray(0, messageOctetsMax));
};

test('plain text: its first words in one line, without what is quoted, the signature and links (RFC 8970 §3.1)', () => {
  assert.equal(
    previewOf(
      'Subject: x\r\n\r\n> you asked\r\n\r\nYes,\r\n  at ten.\r\n-----\r\nhttps://meet.example/1 is the place\r\n-- \r\nAnn',
    ),
    'Yes, at ten. is the place',
  );
  assert.equal(previewOf('Subject: x\r\n\r\n'), '');
  assert.equal(previewOf(''), '');
});

test('HTML reads as a person sees it: no tags, styles, scripts or comments, characters for entities', () => {
  assert.equal(
    previewOf(
      'Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>T</title><style>p{color:red}</style></head>' +
        '<body><!-- no --><script>no()</script><p>Caf&eacute; &amp; <b>th&#233;</b></p>\r\n<table><tr><td>a</td><td>b</td></tr></table>',
    ),
    'Café & thé a b',
  );
});

test('HTML whose words come late, behind styles and blanks, has its preview too', () => {
  const blanks = `<tr>${' '.repeat(200)}\r\n<td> </td></tr>`.repeat(40);
  assert.equal(
    previewOf(
      `Content-Type: text/html\r\n\r\n<style>${'p { color: red }\r\n'.repeat(1_500)}</style>${blanks}<p>late words</p>`,
    ),
    'late words',
  );
});

test('of an alternative the plain text, whatever comes first; HTML where there is no other', () => {
  const html = '--a\r\nContent-Type: text/html\r\n\r\n<p>from HTML</p>\r\n';
  const plain = '--a\r\n\r\nfrom plain\r\n';
  const alternative = (...parts: string[]) =>
    `Content-Type: multipart/alternative; boundary=a\r\n\r\n${parts.join('')}--a--\r\n`;
  assert.equal(previewOf(alternative(html, plain)), 'from plain');
  assert.equal(previewOf(alternative(plain, html)), 'from plain');
  assert.equal(previewOf(alternative(html)), 'from HTML');
});

test('text that is attached is no preview; a message of attachments has none', () => {
  assert.equal(
    previewOf(
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: image/png\r\n\r\nx\r\n' +
        '--a\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nnot this\r\n--a--\r\n',
    ),
    '',
  );
});

test('Chinese in GBK, GB18030, Big5 and without a label is read', () => {
  const gbk = Buffer.concat([
    Buffer.from('Content-Type: text/plain; charset=gb2312\r\n\r\n'),
    Buffer.from('c4fabac3a3acd5e2cac7b2e2cad4d3cabcfea1a3', 'hex'),
  ]);
  assert.equal(previewOf(gbk), '您好，这是测试邮件。');
  const base64 = Buffer.from('您好，\r\n这是第二行。').toString('base64');
  assert.equal(
    previewOf(
      `Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64}\r\n`,
    ),
    '您好， 这是第二行。',
  );
  const big5 = Buffer.concat([
    Buffer.from('Content-Type: text/plain; charset=big5\r\n\r\n'),
    Buffer.from('b17aa66e', 'hex'),
  ]);
  assert.equal(previewOf(big5), '您好');
  const words = '我们今天下午在会议室讨论这个问题，请大家准时参加。';
  assert.equal(previewOf(`Subject: x\r\n\r\n${words}`), words);
});

test('at most 200 characters, of which none is cut in two', () => {
  assert.equal([...previewOf(`\r\n${'中'.repeat(1_000)}`)].length, lengthMax);
  const emoji = previewOf(`\r\n${'\u{1f600}'.repeat(1_000)}`);
  assert.equal([...emoji].length, lengthMax);
  assert.ok(emoji.isWellFormed() && !emoji.includes('\ufffd'));
  assert.equal(previewOf(`\r\n${'word '.repeat(1_000)}`), 'word '.repeat(40).trimEnd());
});

test('fillers without a width, controls and marks that turn the direction are left out; joiners of emoji stay', () => {
  assert.equal(
    previewOf(`\r\nSale\u034f\u200b\u00ad ${'\u034f '.repeat(50)}\u202enow\u0007\0 !\ufeff`),
    'Sale now !',
  );
  assert.equal(
    previewOf('\r\n\u{1f468}\u200d\u{1f469}\u200d\u{1f467}'),
    '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
  );
});

test('what lies behind the first octets is not read, whatever the length of the message', () => {
  const text = `Subject: x\r\n\r\n${`> ${'q'.repeat(60)}\r\n`.repeat(2_000)}answer`;
  assert.equal(previewOf(text), '');
  const far = `Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: image/png\r\n\r\n${'A'.repeat(messageOctetsMax)}\r\n--a\r\n\r\nbehind\r\n--a--\r\n`;
  assert.equal(previewOf(far), '');
});

test('a character that the end of what is read goes through is left out', () => {
  const quoted = `> ${'q'.repeat(60)}\r\n`.repeat(255);
  for (let shift = 0; shift < 4; shift++) {
    const body = `${quoted}${'x'.repeat(shift)} ${'中'.repeat(20)}`;
    const head = 'Content-Type: text/plain; charset=utf-8\r\n\r\n';
    const cut = Buffer.from(head + body).subarray(0, Buffer.byteLength(head + body) - 2);
    const made = messagePreview(parseMessage(Buffer.from(head + body)), cut);
    assert.ok(!made.endsWith('\ufffd'), made);
    assert.ok(made.endsWith('中'));
  }
});

test('any octets: one well-formed line of 200 characters at most, the same from the first octets as from all', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.constantFrom('text/plain', 'text/html'),
      (body, type) => {
        const message = Buffer.concat([Buffer.from(`Content-Type: ${type}\r\n\r\n`), body]);
        const made = previewOf(message);
        assert.ok(made.isWellFormed() && [...made].length <= lengthMax);
        assert.doesNotMatch(made, /[\p{Cc}\u202e\n]/u);
      },
    ),
    { numRuns: 300 },
  );
});
