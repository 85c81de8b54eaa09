/**
 * ENVELOPE and BODYSTRUCTURE of every message of the MIME corpora beside those of Dovecot 2.3.19, recorded in
 * `test/vectors/mime/dovecot-2.3.19.jsonl` by `record-dovecot.py`. Compared are the values (`test/support/dovecot-answers.ts`).
 *
 * By a rule: a multipart whose body opens no part is text here and one empty part there (`docs/decisions/0007`).
 *
 * Broken on purpose: with the line end before a delimiter left in the part, 27 more items fail of mime-cpython, 53 of
 * mime-enmime, 11 of mime-mime4j, 39 of mime-ruby-mail, 21 of mime-stalwart, 1 of eai; with the default of Sender and
 * Reply-To taken out, 48, 59, 12, 98, 16 and 6.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bodyStructure, envelope, parseMessage } from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { asDovecotGot, compareWithDovecot, dovecotAnswers } from './support/dovecot-answers.ts';
import { type Failure, report, type Settled } from './support/verdicts.ts';

const answers = dovecotAnswers();

for (const corpus of [
  'mime-cpython',
  'mime-enmime',
  'mime-mime4j',
  'mime-ruby-mail',
  'mime-stalwart',
  'eai',
]) {
  const folder = corpora(corpus);
  test(`ENVELOPE and BODYSTRUCTURE are Dovecot's (${corpus}; RFC 9051 §7.5.2)`, {
    skip: folder === null && notRun,
  }, (t) => {
    const failures: Failure[] = [];
    const settled: Settled[] = [];
    const own = answers.filter(({ file }) => file.startsWith(`${corpus}/`));
    for (const answer of own) {
      const parsed = parseMessage(asDovecotGot(fs.readFileSync(path.join(folder ?? '', '..', answer.file))));
      const name = answer.file.slice(corpus.length + 1);
      const compare = (item: string, theirs: string, ours: Uint8Array): void => {
        const outcome = compareWithDovecot(theirs, ours);
        if (outcome === 'same but for readable text')
          settled.push({ case: `${name} ${item}`, rule: 'readable text' });
        if (outcome === 'different') {
          const text = Buffer.from(ours).toString('latin1');
          failures.push({ case: `${name} ${item}`, what: `${text}\n   Dovecot: (${theirs})` });
        }
      };
      compare('ENVELOPE', answer.envelope, envelope(parsed));
      compare('BODYSTRUCTURE', answer.bodystructure, bodyStructure(parsed));
    }
    report(t, `${corpus}-dovecot`, 2 * own.length, failures, { settled });
    assert.ok(own.length > 0);
  });
}
