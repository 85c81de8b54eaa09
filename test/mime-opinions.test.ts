/**
 * Second opinions: what postal-mime 4.0 and mailparser 3.14 make of the messages of the MIME corpora and of mail-rspamd, recorded
 * as hashes in `test/vectors/mime/opinions.jsonl` by `record-opinions.mjs`: subject, text, attachments with their names. A case is
 * one of the three of one message by one of them. They are libraries for showing mail: what they hide, join and decode is their
 * choice, so that a difference is a question, not a fault; each that is left is listed with its answer.
 *
 * By a rule:
 * - readable text: a multipart that opens no part, or a type that can't be read, is text here (`docs/decisions/0007`);
 * - attached text: they show text that is attached, delivery status and enclosed messages as text of the message; the texts of
 *   those parts must be theirs;
 * - another structure: where Dovecot has our structure on record.
 *
 * Broken on purpose: with quoted-printable left as it is, 32 more cases fail; with blanks between encoded-words kept, 14; with the
 * escapes between two ISO-2022-JP words left to the runtime, 2.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  bodyParts,
  bodyStructure,
  decodeHeaderText,
  decodeTransfer,
  fileName,
  mediaType,
  type ParsedPart,
  parseMessage,
  partTextAndFiles,
} from '#message';
import { corpora, corporaRoot, notRun } from './support/corpora.ts';
import { asDovecotGot, compareWithDovecot, dovecotAnswers } from './support/dovecot-answers.ts';
import { type Failure, report, type Settled } from './support/verdicts.ts';

interface Opinion {
  subject: string | null;
  text: string | null;
  attachments: [name: string | null, content: string][];
}

type Recorded = { file: string } & Record<'postal-mime' | 'mailparser', Opinion>;

const hash = (data: string | Buffer): string => crypto.hash('sha256', data).slice(0, 16);

const ofText = (text: string | null): string | null => {
  const words = (text ?? '').replace(/\s+/g, '');
  return words === '' ? null : hash(words);
};

const ofContent = (octets: Uint8Array): string =>
  hash(
    Buffer.from(Buffer.from(octets).toString('latin1').replace(/\r\n/g, '\n').replace(/\n+$/, ''), 'latin1'),
  );

const ofName = (part: ParsedPart): string | null => ofText(fileName(part));

const recorded = fs
  .readFileSync(path.resolve(import.meta.dirname, 'vectors/mime/opinions.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Recorded);

const dovecot = new Map(dovecotAnswers().map((answer) => [answer.file, answer]));

/** All that can be asked of one message here. */
const read = (octets: Buffer) => {
  const { root, ...rest } = parseMessage(octets);
  const body = (part: ParsedPart): Buffer => octets.subarray(part.bodyStart, part.end);
  const decoded = (part: ParsedPart): Uint8Array => decodeTransfer(body(part), part.encoding);
  const leaves = (part: ParsedPart): ParsedPart[] =>
    part.kind === 'multipart' ? part.children.flatMap(leaves) : [part, ...part.children.flatMap(leaves)];
  const found = bodyParts({ root, ...rest });
  const textOf = (part: ParsedPart): string => partTextAndFiles(part, body(part)).text;
  const isPlain = (part: ParsedPart): boolean => mediaType(part) === 'text/plain';
  const all = leaves(root);
  const own = (part: ParsedPart): ParsedPart[] =>
    part.kind === 'multipart' ? part.children.flatMap(own) : [part];
  const shown = (part: ParsedPart): string =>
    part.kind === 'message' || mediaType(part) === 'message/delivery-status'
      ? Buffer.from(decoded(part)).toString()
      : /^text\/(?!html)/.test(mediaType(part))
        ? textOf(part)
        : '';
  return {
    subject: ofText(decodeHeaderText(root.values.findLast(({ name }) => name === 'subject')?.value ?? '')),
    text: ofText(found.text.filter(isPlain).map(textOf).join('')),
    attachedTexts: [
      own(root).filter(isPlain).map(textOf),
      own(root)
        .filter((part) => isPlain(part) && part.mime.disposition?.type.toLowerCase() !== 'attachment')
        .map(textOf),
      own(root).map(shown),
      all.filter(isPlain).map(textOf),
      all.filter((part) => part.kind === 'leaf').map(shown),
    ].map((texts) => ofText(texts.join(''))),
    parts: new Map(all.map((part) => [`${ofName(part)} ${ofContent(decoded(part))}`, part])),
    contents: new Set(all.map((part) => ofContent(decoded(part)))),
    becameText: all.some(
      (part) =>
        isPlain(part) &&
        part.mime.parameters.length === 0 &&
        /^content-type[ \t]*:(?!\s*text\/plain)/im.test(
          octets.toString('latin1', part.headerStart, part.blankStart),
        ),
    ),
  };
};

for (const library of ['postal-mime', 'mailparser'] as const) {
  test(`subjects, texts and attachments are those of ${library}`, (t) => {
    const failures: Failure[] = [];
    const settled: Settled[] = [];
    let total = 0;
    for (const line of recorded) {
      if (corpora(line.file.split('/')[0] ?? '') === null) return t.skip(notRun);
      const theirs = line[library];
      const octets = fs.readFileSync(path.join(corporaRoot(), line.file));
      const ours = read(octets);
      const isDovecots = (): boolean => {
        const answer = dovecot.get(line.file);
        const structure = bodyStructure(parseMessage(asDovecotGot(octets)));
        return answer !== undefined && compareWithDovecot(answer.bodystructure, structure) !== 'different';
      };
      const add = (item: string, isSame: boolean, rule: () => string | null): void => {
        total++;
        if (isSame) return;
        const used = rule();
        if (used !== null) settled.push({ case: `${line.file} ${item}`, rule: used });
        else failures.push({ case: `${line.file} ${item}`, what: `${library} ${JSON.stringify(theirs)}` });
      };
      add('subject', ours.subject === theirs.subject, () => null);
      add('text', ours.text === theirs.text, () => {
        if (ours.becameText) return 'readable text';
        if (ours.attachedTexts.includes(theirs.text)) return 'attached text';
        return null;
      });
      const missing = theirs.attachments.filter(([name, content]) => !ours.parts.has(`${name} ${content}`));
      add('attachments', missing.length === 0, () => {
        if (missing.every(([, content]) => ours.contents.has(content))) return null;
        if (ours.becameText) return 'readable text';
        return isDovecots() ? 'another structure' : null;
      });
    }
    report(t, `opinions-${library}`, total, failures, { settled });
    assert.ok(total > 1000);
  });
}
