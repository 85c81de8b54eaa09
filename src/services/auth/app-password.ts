import { createHmac, hash, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import type { AppPasswordKeys } from '#store/secrets';

/** groups of 30 bits each */
export const appPasswordGroups = 4;
/** of one account */
export const appPasswordsMax = 25;
/** the least that RFC 7677 allows: what is guessed has 120 bits, so more rounds would protect nothing */
export const scramIterations = 4_096;
const saltBytes = 16;
const nameLengthMax = 64;

const hmac = (key: Uint8Array, data: Uint8Array | string): Buffer =>
  createHmac('sha256', key).update(data).digest();

/** What may name an app password. */
export const isAppPasswordName = (name: string): boolean =>
  name.trim() === name && name !== '' && name.length <= nameLengthMax && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name);

/**
 * The salt of a user's SCRAM keys, the same whether there is such a user or not, and the same for all of its app passwords: the
 * server says it before it knows which of them the client has.
 */
export const scramSalt = (saltKey: Uint8Array, user: string): Uint8Array =>
  hmac(saltKey, user).subarray(0, saltBytes);

/** @source RFC 5802 §3, RFC 7677 */
export const appPasswordKeys = (password: string, salt: Uint8Array): AppPasswordKeys => {
  const salted = pbkdf2Sync(password, salt, scramIterations, 32, 'sha256');
  return {
    sha256: hash('sha256', password, 'buffer'),
    storedKey: hash('sha256', hmac(salted, 'Client Key'), 'buffer'),
    serverKey: hmac(salted, 'Server Key'),
  };
};

/** Whether a proof was made with the password of these keys. @source RFC 5802 §3 */
export const proofMatches = (
  { storedKey }: Pick<AppPasswordKeys, 'storedKey'>,
  authMessage: Uint8Array,
  proof: Uint8Array,
): boolean => {
  const signature = hmac(storedKey, authMessage);
  const clientKey = Buffer.from(proof).map((octet, at) => octet ^ (signature[at] ?? 0));
  return proof.length === 32 && timingSafeEqual(hash('sha256', clientKey, 'buffer'), storedKey);
};

/** @source RFC 5802 §3 */
export const serverSignature = (serverKey: Uint8Array, authMessage: Uint8Array): Uint8Array =>
  hmac(serverKey, authMessage);
