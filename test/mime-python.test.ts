/**
 * A second opinion: Python's `email` on the messages of CPython's own tests (mime-cpython) and on those of eai: the Subject
 * and, leaf by leaf, content type, file name and decoded body. A case is a message.
 *
 * By a rule:
 * - raw octets: Python shows raw octets of a header as U+FFFD each; they are asked for and read as UTF-8 (RFC 6532);
 * - a header ends at the empty line: Python ends it at a line without a colon; such a message is read with an empty line put
 *   before that line;
 * - Dovecot decides: where Python finds other leaves, the structure that Dovecot has on record must be ours: delimiters of an
 *   outer multipart inside an inner one, delimiters right after each other, a multipart whose body opens no part.
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
import {
  bodyStructure,
  decodeHeaderText,
  decodeParameter,
  decodeTransfer,
  type ParsedPart,
  parseHeaderFields,
  parseMessage,
} from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { asDovecotGot, compareWithDovecot, dovecotAnswers } from './support/dovecot-answers.ts';
import { type Failure, report, type Settled, Tally } from './support/verdicts.ts';

const python = `
import email, email.header, email.policy, hashlib, json, sys
class Octets(email.policy.Compat32):
    # A value as it is: surrogates are octets.
    def header_fetch_parse(self, name, value): return value
def text(value):
    return None if value is None else value.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')
def leaves(part):
    # Python reads the body of every message/... as a message; there is nothing to compare then.
    if part.get_content_maintype() == 'message' and part.get_content_type() not in ('message/rfc822', 'message/global'):
        return [[part.get_content_type(), text(part.get_filename()), None]]
    if part.is_multipart():
        return [leaf for child in part.get_payload() for leaf in leaves(child)]
    body = part.get_payload(decode=True) or b''
    name = text(part.get_filename())
    # A multipart without parts is text here and in our structure.
    kind = 'text/plain' if part.get_content_maintype() == 'multipart' else part.get_content_type()
    return [[kind, name, hashlib.sha256(body).hexdigest()]]
out = {}
for path in sys.argv[1:]:
    message = email.message_from_bytes(open(path, 'rb').read(), policy=Octets())
    subject = message.get('subject')
    if subject is not None:
        subject = ' '.join(str(email.header.make_header(email.header.decode_header(text(subject)))).split())
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
    const settled: Settled[] = [];
    const tally = new Tally(corpus);
    const answers = new Map(dovecotAnswers().map((answer) => [answer.file, answer]));
    for (const file of paths) {
      const rules: string[] = [];
      const octets = fs.readFileSync(file);
      const noField = parseHeaderFields(octets).find(({ name }, index) => name === '' && index > 0);
      if (noField !== undefined) rules.push('a header ends at the empty line');
      const message =
        noField === undefined
          ? octets
          : Buffer.concat([
              octets.subarray(0, noField.start),
              Buffer.from('\n'),
              octets.subarray(noField.start),
            ]);
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
      const name = path.basename(file);
      const [theirSubject, theirLeaves] = theirs[file] as [unknown, unknown[]];
      const isSame = JSON.stringify(ours) === JSON.stringify(theirs[file]);
      const answer = answers.get(`${corpus}/${name}`);
      if (
        !isSame &&
        answer !== undefined &&
        JSON.stringify(ours[0]) === JSON.stringify(theirSubject) &&
        compareWithDovecot(answer.bodystructure, bodyStructure(parseMessage(asDovecotGot(octets)))) !==
          'different'
      ) {
        settled.push({ case: name, rule: 'Dovecot decides' });
      } else if (!isSame) {
        failures.push({
          case: name,
          what: `\n   ours   ${JSON.stringify(ours)}\n   theirs ${JSON.stringify([theirSubject, theirLeaves])}`,
        });
      } else for (const rule of rules) settled.push({ case: name, rule });
    }
    report(t, `${corpus}-python`, files.length, failures, { settled, tally });
    tally.check(t);
    assert.ok(files.length > 0);
  });
}
