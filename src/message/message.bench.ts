/**
 * What parsing costs at receipt: `scripts/node26 src/message/message.bench.ts`. One line a kind of message: the scan, making
 * ENVELOPE, BODYSTRUCTURE (both forms) and the stored structure, making the preview, and the octets of the structure.
 */
import { performance } from 'node:perf_hooks';
import {
  bodyStructure,
  encodeStructure,
  envelope,
  messagePreview,
  parseMessage,
  previewLimits,
} from './index.ts';

const header =
  'Received: from mx.example.org (mx.example.org [192.0.2.1])\r\n by mail.example.net with ESMTPS id 1234\r\n for <bob@example.net>; Thu, 15 Feb 2007 01:02:03 +0200\r\n'.repeat(
    4,
  ) +
  `DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s;\r\n b=${'x'.repeat(300)}\r\n` +
  'From: Alice <alice@example.org>\r\nTo: Bob <bob@example.net>, carol@example.net\r\nSubject: =?utf-8?B?5Lya6K6u6YCa55+l?=\r\n' +
  'Date: Thu, 15 Feb 2007 01:02:03 +0200\r\nMessage-ID: <1@example.org>\r\nReferences: <0@example.net>\r\nMIME-Version: 1.0\r\n';

const part = (type: string, line: string, lines: number): string =>
  `--b\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: base64\r\n\r\n${`${line}\r\n`.repeat(lines)}`;

const base64Line = 'QUJD'.repeat(19);
const messages: [name: string, message: Buffer][] = [
  [
    '2 KB of text',
    Buffer.from(`${header}Content-Type: text/plain; charset=utf-8\r\n\r\n${'Hello there\r\n'.repeat(60)}`),
  ],
  [
    '50 KB, text and HTML',
    Buffer.from(
      `${header}Content-Type: multipart/alternative; boundary=b\r\n\r\n${part('text/plain; charset=utf-8', base64Line, 150)}${part('text/html; charset=utf-8', base64Line, 480)}--b--\r\n`,
    ),
  ],
  [
    '50 KB of HTML',
    Buffer.from(
      `${header}Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<style>${'p {color=3D red}\r\n'.repeat(1_000)}</style>${'<table><tr><td class=3D"x">caf=C3=A9 </td></tr></table>\r\n'.repeat(600)}`,
    ),
  ],
  [
    '10 MB attachment',
    Buffer.from(
      `${header}Content-Type: multipart/mixed; boundary=b\r\n\r\n${part('text/plain', base64Line, 10)}${part('application/pdf; name=x.pdf', base64Line, 134_000)}--b--\r\n`,
    ),
  ],
  [
    '10 MB of text',
    Buffer.from(`${header}Content-Type: text/plain\r\n\r\n${`${'x'.repeat(74)}\r\n`.repeat(138_000)}`),
  ],
];

const microseconds = (run: () => void): number => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < 200) {
      run();
      count++;
    }
    times.push(((performance.now() - start) / count) * 1000);
  }
  return Math.min(...times);
};

for (const [name, message] of messages) {
  const parsed = parseMessage(message);
  const scan = microseconds(() => parseMessage(message));
  const make = microseconds(() => {
    envelope(parsed);
    bodyStructure(parsed);
    bodyStructure(parsed, 'basic');
    encodeStructure(parsed);
  });
  const head = message.subarray(0, previewLimits.messageOctetsMax);
  const preview = microseconds(() => messagePreview(parsed, head));
  console.log(
    `${name.padEnd(22)} ${message.length} octets: scan ${scan.toFixed(1)} µs (${(message.length / scan).toFixed(0)} MB/s), make ${make.toFixed(1)} µs, preview ${preview.toFixed(1)} µs, structure ${encodeStructure(parsed).length} octets`,
  );
}
