import { inputBytesMax } from './report.ts';

/** Whole numbers below a bound, the same for the same seed. */
export type Dice = (below: number) => number;

/** xorshift32 (Marsaglia 2003): quick and repeatable, which is all that is needed here. */
export const createDice = (seed: number): Dice => {
  let state = (seed ^ 0x9e3779b9) | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

const telling = [0, 9, 10, 13, 32, 34, 40, 41, 46, 47, 58, 60, 62, 64, 92, 123, 125, 127, 128, 192, 255];

/** Where pieces are borrowed from: other inputs, and words of the code under test. */
export interface Lenders {
  corpus: readonly Uint8Array[];
  words: readonly Uint8Array[];
}

/** A changed copy of one input, half of the time in a single step, otherwise in up to four. */
export const mutate = (base: Uint8Array, lenders: Lenders, dice: Dice): Uint8Array => {
  let octets: Uint8Array = base.slice();
  for (let steps = dice(2) === 0 ? 1 : 1 + dice(4); steps > 0; steps--)
    octets = change(octets, lenders, dice);
  return octets.length > inputBytesMax ? octets.slice(0, inputBytesMax) : octets;
};

const change = (octets: Uint8Array, { corpus, words }: Lenders, dice: Dice): Uint8Array => {
  const at = dice(octets.length + 1);
  const length = 1 + dice(Math.max(1, Math.min(32, octets.length - at)));
  switch (octets.length === 0 ? 3 : dice(12)) {
    case 0: {
      const index = Math.min(at, octets.length - 1);
      octets[index] = (octets[index] ?? 0) ^ (1 << dice(8));
      return octets;
    }
    case 1:
      octets[Math.min(at, octets.length - 1)] = dice(256);
      return octets;
    case 2:
      octets[Math.min(at, octets.length - 1)] = telling[dice(telling.length)] ?? 0;
      return octets;
    case 3:
      return spliced(
        octets,
        at,
        0,
        Uint8Array.of(dice(2) === 0 ? dice(256) : (telling[dice(telling.length)] ?? 0)),
      );
    case 4:
      return spliced(octets, at, length, new Uint8Array(0));
    case 5:
      return spliced(octets, at, 0, octets.subarray(at, at + length));
    case 6:
      return octets.slice(0, at);
    case 7: {
      // A number in the text becomes another: lengths and counts are what parsers trip over.
      const digit = octets.findIndex((octet, index) => index >= at && octet >= 48 && octet <= 57);
      const numbers = ['0', '1', '4294967295', '4294967296', '9007199254740993', '99999999999999999999'];
      const number = new TextEncoder().encode(numbers[dice(numbers.length)]);
      return digit === -1 ? octets : spliced(octets, digit, 1, number);
    }
    case 8:
    case 9:
    case 10: {
      const word = words[dice(Math.max(1, words.length))] ?? Uint8Array.of(dice(256));
      return spliced(octets, at, dice(3) === 0 ? 0 : word.length, word);
    }
    default: {
      const other = corpus[dice(corpus.length)] ?? octets;
      const from = dice(other.length + 1);
      return spliced(octets, at, dice(2) === 0 ? length : 0, other.subarray(from, from + 1 + dice(64)));
    }
  }
};

const spliced = (octets: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array => {
  const rest = octets.subarray(at + removed);
  const result = new Uint8Array(at + inserted.length + rest.length);
  result.set(octets.subarray(0, at));
  result.set(inserted, at);
  result.set(rest, at + inserted.length);
  return result;
};
