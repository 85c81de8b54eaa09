/**
 * Third-party vectors: the TNEF samples of MimeKit (from ytnef and tnef). A case is a file: a stream (X.tnef, ukr.eml) must be
 * recognised by its signature, list the files that X.list and the folder X name (`body.*`, `message.*` stand for the
 * message's own text, which is not looked at), and hold their octets; every other file must not be taken for a stream.
 * `christmas/Untitled_Attachment.2`, a message attached to another, is a stream too. Seven lists and folders have no stream
 * here: of their files only that they are no TNEF can be said.
 *
 * By a rule: text files lost their CR on the way into the folder; they are compared without.
 *
 * Broken on purpose: with the signature in the other order of octets, 14 cases fail; with attributes skipped without their
 * checksum, 9; with the octets of a file taken two too early, 7.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decodeTransfer, hasTnefSignature, isTnef, type ParsedPart, parseMessage, tnefFiles } from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { type Failure, report, type Settled, Tally } from './support/verdicts.ts';

const folder = corpora('tnef');

const attachedMessage = 'christmas/Untitled_Attachment.2';

const readIfThere = (file: string): string[] =>
  fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];

test('TNEF streams are recognised and their files listed (tnef; MS-OXTNEF §2.1.3)', {
  skip: folder === null && notRun,
}, (t) => {
  const root = folder ?? '';
  const failures: Failure[] = [];
  const settled: Settled[] = [];
  const files = (fs.readdirSync(root, { recursive: true }) as string[])
    .filter((file) => file !== 'SOURCE.md' && fs.statSync(path.join(root, file)).isFile())
    .sort();
  let streams = 0;
  for (const file of files) {
    const octets = fs.readFileSync(path.join(root, file));
    const fail = (what: string): void => void failures.push({ case: file, what });
    if (file.endsWith('.eml')) {
      const parts = (part: ParsedPart): ParsedPart[] => [part, ...part.children.flatMap(parts)];
      const found = parts(parseMessage(octets).root).filter((part) => isTnef(part));
      const bodies = found.map((part) =>
        decodeTransfer(octets.subarray(part.bodyStart, part.end), part.encoding),
      );
      streams++;
      if (bodies.length !== 1 || !bodies.every((body) => tnefFiles(body)?.isDamaged === false))
        fail('no whole stream in it');
      continue;
    }
    const listed = tnefFiles(octets);
    if (file === attachedMessage) {
      streams++;
      if (listed?.isDamaged !== false || listed.files.length > 0) fail('no whole stream without files');
      continue;
    }
    if (!file.endsWith('.tnef')) {
      if (listed !== null || hasTnefSignature(octets)) fail('taken for a stream');
      continue;
    }
    streams++;
    if (listed === null) {
      fail('not recognised');
      continue;
    }
    const base = path.join(root, file.slice(0, -'.tnef'.length));
    const extracted = fs.existsSync(base) ? fs.readdirSync(base) : [];
    const names = new Set(
      [...readIfThere(`${base}.list`), ...extracted].filter(
        (name) => name !== '' && !/^(?:body|message)\.(?:rtf|html|txt)$/.test(name),
      ),
    );
    const ours = listed.files.map(({ name }) => name ?? '');
    if (JSON.stringify([...names].sort()) !== JSON.stringify([...ours].sort())) {
      fail(`${JSON.stringify(ours)}, expected ${JSON.stringify([...names])}`);
      continue;
    }
    for (const { name, start, end } of listed.files) {
      if (!extracted.includes(name ?? '')) continue;
      const expected = fs.readFileSync(path.join(base, name ?? ''));
      const content = octets.subarray(start, end);
      if (content.equals(expected)) continue;
      if (content.toString('latin1').replace(/\r\n/g, '\n') === expected.toString('latin1'))
        settled.push({ case: file, rule: 'without CR' });
      else fail(`${name} has other octets`);
    }
  }
  const tally = new Tally('tnef');
  report(t, 'tnef', files.length, failures, { settled, tally });
  t.diagnostic(`${streams} of the files are streams or hold one`);
  tally.check(t);
  assert.equal(files.length, 72);
});

test('TNEF is recognised in mail (html-roundcube)', (t) => {
  const roundcube = corpora('html-roundcube');
  if (roundcube === null) return t.skip(notRun);
  const names = ['body.tnef', 'one-file.tnef'].map((file) =>
    tnefFiles(fs.readFileSync(path.join(roundcube, file)))?.files.map(({ name }) => name),
  );
  assert.deepEqual(names, [[], ['AUTHORS']]);
});
