/**
 * Third-party vectors: the validation part of ValiMail's ARC test suite, 171 messages, each in one piece and octet by octet.
 *
 * `test/vectors/dkim/arc-valimail.tsv` has a newer expectation beside the old one for 4 of them.
 *
 * Broken on purpose: with seals that do not sign the seals before them 7 cases fail, with message signatures that nobody
 * checks 24, with any `cv=` believed 6.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { corpora, notRun } from './support/corpora.ts';
import { checkArc, txtRecords } from './support/signed-mail.ts';
import { parseYamlDocuments, type Yaml } from './support/small-yaml.ts';

const folder = corpora('arc-valimail');

/** The literal block `message: |` of each case: the octets count, also blanks at the ends of lines. */
const readMessages = (document: string): Map<string, string> => {
  const messages = new Map<string, string>();
  const lines = document.split('\n');
  let name = '';
  for (let at = 0; at < lines.length; at++) {
    name = /^ {2}(\w+):\s*$/.exec(lines[at] ?? '')?.[1] ?? name;
    if (!/^ {4}message:\s+\|$/.test(lines[at] ?? '')) continue;
    const block: string[] = [];
    for (; /^(?: {6}| *$)/.test(lines[at + 1] ?? 'end'); at++) block.push((lines[at + 1] ?? '').slice(6));
    // One line end stays of those at the end.
    messages.set(name, `${block.join('\n').replace(/\n+$/, '')}\n`.replace(/^\n$/, ''));
  }
  return messages;
};

const map = (yaml: Yaml | undefined): Record<string, Yaml> =>
  yaml === undefined || typeof yaml === 'string' || Array.isArray(yaml) ? assert.fail('a map') : yaml;

test('the validation suite of ValiMail (arc-valimail; RFC 8617 §5.2)', {
  skip: folder === null && notRun,
}, async (t) => {
  const newer = new Map(
    fs
      .readFileSync(path.join(import.meta.dirname, 'vectors/dkim/arc-valimail.tsv'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [name = '', old = '', now = ''] = line.split('\t');
        return [name, { old, now }] as const;
      }),
  );
  const source = fs.readFileSync(path.join(folder ?? '', 'arc-draft-validation-tests.yml'), 'utf8');
  const texts = source.split(/^---.*$/m);
  const failures: string[] = [];
  let cases = 0;
  for (const [index, document] of parseYamlDocuments(source).entries()) {
    const messages = readMessages(texts[index] ?? '');
    const { tests, 'txt-records': records } = map(document);
    const dns = txtRecords(map(records) as Record<string, string>);
    for (const [name, each] of Object.entries(map(tests))) {
      const old = String(map(each)['cv'] ?? '').toLowerCase();
      const expected = newer.get(name);
      if (expected !== undefined) assert.equal(old, expected.old, name);
      const message = utf8((messages.get(name) ?? assert.fail(name)).replaceAll('\n', '\r\n'));
      cases++;
      for (const pieceBytes of [message.length, 1]) {
        const { result, reason } = await checkArc(message, dns, { pieceBytes });
        if (result !== (expected?.now ?? old))
          failures.push(`${name} by ${pieceBytes}: ${result}, not ${old} (${reason})`);
      }
    }
  }
  t.diagnostic(
    `arc-valimail: ${cases} messages, ${cases - newer.size} as its authors expect, ${newer.size} listed with a reason`,
  );
  assert.deepEqual(failures, []);
  assert.equal(cases, 171);
});
