import assert from 'node:assert/strict';
import {
  bodyParts,
  decodeText,
  fileName,
  guessCharset,
  htmlToText,
  isTnef,
  messagePreview,
  messageText,
  parseMessage,
  preview,
  previewLimits,
  textLimits,
  unflow,
  withoutUuencode,
} from './index.ts';

const text = (...lines: string[]): Uint8Array => Buffer.from(lines.join('\r\n'), 'latin1');

export const seeds: Uint8Array[] = [
  text(
    'Content-Type: text/html; charset=gb2312',
    '',
    '<p title="a>b">\xd6\xd0&amp;&#20013;<script>x</script>y',
  ),
  text('Content-Type: text/plain; format=flowed; delsp=yes', '', '> a ', '>> b ', ' c', '-- ', 'd'),
  text('', 'begin 644 a.txt', '#86)C', '`', 'end', 'after'),
  text(
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: base64',
    '',
    'U3ViamVjdDogeA0KDQpi',
    '--b',
    'Content-Type: application/ms-tnef',
    'Content-Transfer-Encoding: base64',
    '',
    'eJ8+IgEAAgeQBgAEAAAAqAMAAAAA',
    '--b--',
  ),
  text('', '~{VPND~} \x1b$)A\x0eVPND\x0f \x1b$BF|K\\\x1b(B \xff\xfe'),
];

/** Any message and any octets give text that is well formed and bounded. */
export const run = (data: Uint8Array): void => {
  const parsed = parseMessage(data);
  const made = messageText(parsed, (start, end) => data.subarray(start, end));
  assert.ok(made.text.isWellFormed() && made.preview.isWellFormed());
  assert.ok(made.text.length <= textLimits.lengthMax && [...made.preview].length <= 256);
  const shown = messagePreview(parsed, data.subarray(0, previewLimits.messageOctetsMax));
  assert.ok(shown.isWellFormed() && [...shown].length <= previewLimits.lengthMax);
  assert.doesNotMatch(shown, /\p{Cc}/u);
  for (const part of bodyParts(parsed).attachments) {
    isTnef(part, data.subarray(part.bodyStart, part.end));
    assert.ok(fileName(part)?.isWellFormed() ?? true);
  }
  const { charset, confidence } = guessCharset(data);
  assert.ok(confidence >= 0 && confidence <= 1);
  assert.ok(decodeText(data, charset).text.isWellFormed());
  const value = Buffer.from(data).toString('latin1');
  const plain = htmlToText(value);
  assert.ok(plain.length <= value.length);
  preview(plain);
  unflow(value, true);
  const { text: left } = withoutUuencode(value);
  assert.ok(left.length <= value.length);
};
