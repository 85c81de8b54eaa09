import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const wordsMax = 2_000;
const wordBytesMax = 32;

/**
 * Octets that the code under test may be looking for: the texts and small numbers that stand in its source.
 *
 * Chance finds a keyword of eight letters once in 10^19 tries; here it is one of some hundred words.
 */
export const dictionary = (urls: Iterable<string>): Uint8Array[] => {
  const words = new Map<string, Uint8Array>();
  for (const url of urls) {
    const source = fs.readFileSync(fileURLToPath(url), 'utf8');
    for (const [, text = ''] of source.matchAll(/(?<![\w'])'((?:[^'\\\n]|\\.){1,40})'/g))
      add(words, octetsOf(text));
    for (const [number] of source.matchAll(/\b(?:\d{1,3}|0x[0-9a-fA-F]{1,2})\b/g)) {
      if (Number(number) < 256) add(words, Uint8Array.of(Number(number)));
    }
  }
  return [...words.values()];
};

const add = (words: Map<string, Uint8Array>, octets: Uint8Array): void => {
  const isUseful = octets.length > 0 && octets.length <= wordBytesMax && words.size < wordsMax;
  if (isUseful) words.set(octets.join(), octets);
};

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', 0: '\0' };

const octetsOf = (text: string): Uint8Array =>
  new TextEncoder().encode(
    text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_all, hex: string | undefined, letter = '') =>
      hex === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
    ),
  );
