import { test } from 'node:test';
import fc from 'fast-check';
import * as leaf from './leaf.fuzz.ts';
import * as note from './note.fuzz.ts';
import * as receipt from './receipt.fuzz.ts';
import * as tile from './tile.fuzz.ts';
import * as proof from './tlog-proof.fuzz.ts';

for (const [name, target] of Object.entries({ leaf, note, receipt, tile, proof })) {
  test(`the seeds of the fuzz target ${name} and small changes of them give no finding`, () => {
    for (const seed of target.seeds) target.run(seed);
    const change = fc.record({
      seed: fc.constantFrom(...target.seeds),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      cut: fc.nat(40),
      add: fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.constantFrom(Uint8Array.of(10), Uint8Array.of(48))),
    });
    fc.assert(
      fc.property(change, ({ seed, at, cut, add }) => {
        const from = Math.floor(at * seed.length);
        target.run(Buffer.concat([seed.subarray(0, from), add, seed.subarray(from + cut)]));
      }),
      { numRuns: 500 },
    );
  });
}
