import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cellsOf, padCells, wrap } from './layout.ts';

test('a Chinese character takes two cells, what stands for it in a Latin text one (UAX #11)', () => {
  assert.deepEqual(['', 'abc', '封泥', '，。（）', '“x”', '→…│✔'].map(cellsOf), [0, 3, 4, 8, 3, 4]);
  assert.equal(padCells('封泥', 6), '封泥  ');
  assert.equal(padCells('fengni', 3), 'fengni');
});

test('lines break between words and between Chinese characters, never before a closing or behind an opening mark', () => {
  assert.deepEqual(wrap('one two  three', 8), ['one two', 'three']);
  assert.deepEqual(wrap('封泥可以证明。', 8), ['封泥可以', '证明。']);
  assert.deepEqual(wrap('封泥证明，好', 8), ['封泥证', '明，好']);
  assert.deepEqual(wrap('封泥说（用 Node）', 8), ['封泥说', '（用', 'Node）']);
  assert.deepEqual(wrap('', 8), ['']);
});

test('a word that is too long is cut, and no octet is lost (property)', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '封', '泥', '，', '（', '…') });
  fc.assert(
    fc.property(text, fc.integer({ min: 6, max: 40 }), (words, cells) => {
      const lines = wrap(words, cells);
      for (const line of lines) assert.ok(cellsOf(line) <= cells, JSON.stringify(line));
      assert.equal(lines.join('').replaceAll(' ', ''), words.replaceAll(' ', ''));
    }),
  );
});
