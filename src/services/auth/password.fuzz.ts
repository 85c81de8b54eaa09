import assert from 'node:assert/strict';
import { parsePhc, preparePassword } from './password.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const seeds: Uint8Array[] = [
  text('$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'),
  text('$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA'),
  text('pass\u3000word e\u0301'),
];

/** A verifier asks for a bounded cost or is none; preparing a password twice changes nothing more. */
export const run = (data: Uint8Array): void => {
  const value = new TextDecoder().decode(data);
  const phc = parsePhc(value);
  if (phc !== null) {
    assert.ok(phc.memoryKiB >= 8 && phc.memoryKiB <= 1024 * 1024 && phc.passes >= 1 && phc.passes <= 16);
    assert.ok(phc.salt.length >= 8 && phc.hash.length >= 16);
  }
  const once = preparePassword(value);
  if (once !== null) assert.equal(preparePassword(once), once);
};
