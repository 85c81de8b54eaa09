/**
 * A second opinion: Python's `email` on the messages of CPython's own tests (mime-cpython) and on those of eai: the Subject
 * and, leaf by leaf, content type, file name and decoded body.
 *
 * Broken on purpose: with the line end before a delimiter left in the part, 24 more messages fail of mime-cpython; with
 * quoted-printable read as decimal, 1.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decodeHeaderText, decodeParameter, decodeTransfer, type ParsedPart, parseMessage } from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { type Failure, report } from './support/verdicts.ts';

const python = `
import email, email.header, hashlib, json, sys
def leaves(part):
    # Python reads the body of every message/... as a message; there is nothing to compare then.
    if part.get_content_maintype() == 'message' and part.get_content_type() not in ('message/rfc822', 'message/global'):
        return [[part.get_content_type(), None if part.get_filename() is None else part.get_filename(), None]]
    if part.is_multipart():
        return [leaf for child in part.get_payload() for leaf in leaves(child)]
    body = part.get_payload(decode=True) or b''
    name = part.get_filename()
    # A multipart without parts is text here and in our structure.
    kind = 'text/plain' if part.get_content_maintype() == 'multipart' else part.get_content_type()
    return [[kind, None if name is None else str(name), hashlib.sha256(body).hexdigest()]]
out = {}
for path in sys.argv[1:]:
    message = email.message_from_bytes(open(path, 'rb').read())
    subject = message.get('subject')
    if subject is not None:
        subject = ' '.join(str(email.header.make_header(email.header.decode_header(subject))).split())
    out[path] = [subject, leaves(message)]
print(json.dumps(out))
`;

const hasPython = ((): boolean => {
  try {
    execFileSync('python3', ['-c', 'import email'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

for (const [corpus, pattern] of [
  ['mime-cpython', /^msg_\d+\w?\.txt$/],
  ['eai', /^(?:addresses|attachment|from|mimefield|not-emoji|punycode)$/],
] as const) {
  const folder = corpora(corpus);
  const skip = folder === null ? notRun : !hasPython && 'not run: no python3';
  test(`Subject, types, file names and bodies are those of Python's email (${corpus})`, { skip }, (t) => {
    const files = fs
      .readdirSync(folder ?? '')
      .filter((file) => pattern.test(file))
      .sort();
    const paths = files.map((file) => path.join(folder ?? '', file));
    const theirs = JSON.parse(
      execFileSync('python3', ['-c', python, ...paths], { maxBuffer: 1 << 26, encoding: 'utf8' }),
    ) as Record<string, unknown>;
    const failures: Failure[] = [];
    for (const file of paths) {
      const message = fs.readFileSync(file);
      const { root } = parseMessage(message);
      const leaves = (part: ParsedPart): unknown[] => {
        if (part.kind !== 'leaf') return part.children.flatMap(leaves);
        const body = decodeTransfer(message.subarray(part.bodyStart, part.end), part.encoding);
        const name =
          decodeParameter(part.mime.disposition?.parameters ?? [], 'filename') ??
          decodeParameter(part.mime.parameters, 'name');
        const type = `${part.mime.type}/${part.mime.subtype}`.toLowerCase();
        const hash = type.startsWith('message/') ? null : crypto.hash('sha256', Buffer.from(body), 'hex');
        return [[type, name, hash]];
      };
      const subject = root.values.find(({ name }) => name === 'subject')?.value;
      const ours = [
        subject === undefined
          ? null
          : decodeHeaderText(subject)
              .split(/\s+/)
              .filter((word) => word !== '')
              .join(' '),
        leaves(root),
      ];
      if (JSON.stringify(ours) !== JSON.stringify(theirs[file])) {
        failures.push({
          case: path.basename(file),
          what: `\n   ours   ${JSON.stringify(ours)}\n   theirs ${JSON.stringify(theirs[file])}`,
        });
      }
    }
    report(t, `${corpus}-python`, files.length, failures);
    assert.ok(files.length > 0);
  });
}
