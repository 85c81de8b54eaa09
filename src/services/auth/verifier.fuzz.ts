import assert from 'node:assert/strict';
import { importVerifier, readHash } from './verifier.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const seeds: Uint8Array[] = [
  text('{SHA512-CRYPT}$6$rounds=1000$x$vbwJ6jJEmGvP5gd0r5FR6nGZmnXqKq0k/Zgs'),
  text('$5$saltstring$5B8vYYiY.CVt1RlTt8KbXBH3hsxY/GNooZaBBGWEc8'),
  text('{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy'),
  text('{SSHA512.HEX}00ff'),
  text('{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='),
  text('{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1'),
  text('{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'),
  text('$y$j9T$a$b'),
];

/** What is taken can be compared with, has a bounded cost and is taken again as it stands; what is refused says why. */
export const run = (data: Uint8Array): void => {
  const line = new TextDecoder().decode(data);
  const outcome = importVerifier(line);
  if (outcome.kind === 'refused') {
    assert.ok(outcome.reason.length > 10);
    return;
  }
  const hash = readHash(outcome.verifier);
  assert.ok(hash !== null);
  const cost = Number(/ (\d+)$/.exec(hash.kind)?.[1] ?? 0);
  assert.ok(cost <= 2_000_000, hash.kind);
  assert.deepEqual(importVerifier(outcome.verifier), outcome);
};
