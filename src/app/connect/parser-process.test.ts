import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { Config } from '#app/config';
import { utf8 } from '#base/bytes';
import { createMessageParser } from '#services/mailstore';
import { startParser } from './parser-process.ts';

const letter = (number: number, bytes: number): Uint8Array =>
  utf8(
    `Subject: letter ${number}\r\nMessage-ID: <${number}@example.org>\r\n\r\n${`line of ${number}\r\n`.repeat(bytes / 12)}`,
  );

async function* pieces(octets: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < octets.length; at += 65_536) yield octets.subarray(at, at + 65_536);
}

test('messages that are parsed elsewhere at the same time, large ones in many calls, do not mix', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-parser-'));
  fs.mkdirSync(path.join(folder, 'run'));
  // The role asks its configuration nothing.
  const parser = startParser(folder, {} as Config);
  try {
    const letters = Array.from({ length: 24 }, (_, at) => letter(at, at % 4 === 0 ? 2_500_000 : 2_000));
    const found = await Promise.all(letters.map((octets) => parser.parse(pieces(octets))));
    for (const [at, octets] of letters.entries()) {
      const own = createMessageParser();
      own.write(octets);
      const { envelope, bodyStructure, preview, threadKeys } = own.end();
      assert.deepEqual(Buffer.from(found[at]?.envelope ?? []), Buffer.from(envelope));
      assert.deepEqual(Buffer.from(found[at]?.bodyStructure ?? []), Buffer.from(bodyStructure));
      assert.deepEqual([found[at]?.preview, found[at]?.threadKeys], [preview, threadKeys]);
    }
  } finally {
    parser.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
