/**
 * The fuzz targets of `src/message`, fed with their seeds, with the messages of the third-party corpora, and with what a
 * repeatable mutator makes of both. `npm run fuzz` does the same for longer.
 */
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as address from '../src/message/address/address.fuzz.ts';
import * as date from '../src/message/date.fuzz.ts';
import * as encodedWord from '../src/message/encoded-word.fuzz.ts';
import * as header from '../src/message/header.fuzz.ts';
import * as message from '../src/message/message.fuzz.ts';
import * as text from '../src/message/text.fuzz.ts';
import * as tnef from '../src/message/tnef.fuzz.ts';
import { corpora } from './support/corpora.ts';

/** xorshift32: the same numbers on every machine. */
const numbers = (seed: number): ((below: number) => number) => {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

const mutate = (data: Uint8Array, other: Uint8Array, below: (limit: number) => number): Uint8Array => {
  const at = below(data.length + 1);
  const length = below(Math.min(200, data.length - at + 1));
  switch (below(5)) {
    case 0:
      return Buffer.concat([data.subarray(0, at), data.subarray(at + length)]);
    case 1:
      return Buffer.concat([data.subarray(0, at + length), data.subarray(at)]);
    case 2:
      return Buffer.concat([data.subarray(0, at), other.subarray(below(other.length + 1))]);
    case 3:
      return Buffer.concat([
        data.subarray(0, at),
        Buffer.from(['\r\n', '\n', '\r', '\0', '"', '(', '=?', '--', ' ', '\xff'][below(10)] ?? '', 'latin1'),
        data.subarray(at),
      ]);
    default: {
      const changed = Buffer.from(data);
      if (changed.length > 0) changed[below(changed.length)] = below(256);
      return changed;
    }
  }
};

const messagesOf = (corpus: string): Uint8Array[] => {
  const folder = corpora(corpus);
  if (folder === null) return [];
  return (fs.readdirSync(folder, { recursive: true }) as string[])
    .filter((file) => /\.(?:eml|msg|raw)$|msg_\d+\.txt$/.test(file))
    .sort()
    .map((file) => fs.readFileSync(path.join(folder, file)))
    .filter((octets) => octets.length < 20_000);
};

const targets = { message, header, address, date, encodedWord, text, tnef };

for (const [name, target] of Object.entries(targets)) {
  test(`the fuzz target ${name} finds nothing in its seeds and 1,500 mutations of them`, () => {
    const below = numbers(0x5eed);
    for (const seed of target.seeds) target.run(seed);
    for (let count = 0; count < 1500; count++) {
      const pick = (): Uint8Array => target.seeds[below(target.seeds.length)] ?? new Uint8Array(0);
      let data = pick();
      for (let step = 0; step <= count % 6; step++) data = mutate(data, pick(), below);
      target.run(data);
    }
  });
}

test('the fuzz targets message, header and text find nothing in the corpora and mutations of them', (t) => {
  const all = [
    'mime-cpython',
    'mime-enmime',
    'mime-mime4j',
    'mime-ruby-mail',
    'mime-stalwart',
    'mail-rspamd',
    'html-roundcube',
  ].flatMap(messagesOf);
  if (all.length === 0) return t.skip('not run: third-party corpora absent');
  const below = numbers(0xc0ffee);
  for (const octets of all) {
    message.run(octets);
    header.run(octets);
    text.run(octets);
    for (let count = 0; count < 4; count++) {
      let data = octets;
      for (let step = 0; step <= count; step++) data = mutate(data, all[below(all.length)] ?? octets, below);
      message.run(data);
      header.run(data);
      text.run(data);
    }
  }
  t.diagnostic(`${all.length} messages, ${all.length * 4} mutations`);
});
