import { argon2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '#base/clock';
import { FengniError } from '#base/errors';

export const passwordBytesMax = 1_024;

/**
 * A password as it is hashed and compared: other blanks become U+0020, then NFC; case and width stay. Null where it is empty, longer
 * than 1,024 octets, or has control characters or lone surrogates.
 *
 * @source RFC 8265 §4.2 (OpaqueString); of the characters that RFC 8264 §4.3 disallows only controls and surrogates are refused,
 *   since a table of assigned code points would shut out people whose keyboard is newer than our table
 */
export const preparePassword = (password: string): string | null => {
  const text = password.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  if (text === '' || !text.isWellFormed() || /\p{Cc}/u.test(text)) return null;
  return Buffer.byteLength(text) <= passwordBytesMax ? text : null;
};

export interface Argon2Cost {
  memoryKiB: number;
  passes: number;
  lanes: number;
}

/** @source OWASP, Password Storage: argon2id with 19 MiB, t = 2, p = 1 */
export const argon2Cost: Argon2Cost = { memoryKiB: 19 * 1024, passes: 2, lanes: 1 };

const hashBytes = 32;
const saltBytes = 16;

interface Phc extends Argon2Cost {
  algorithm: 'argon2id' | 'argon2i';
  salt: Uint8Array;
  hash: Uint8Array;
}

/** A PHC string for a prepared password, with a fresh salt. Runs in the thread pool. */
export const hashPassword = async (
  prepared: string,
  random: Random,
  cost: Argon2Cost = argon2Cost,
): Promise<string> => {
  const salt = random(saltBytes);
  const hash = await derive(prepared, {
    ...cost,
    algorithm: 'argon2id',
    salt,
    hash: new Uint8Array(hashBytes),
  });
  return `${phcPrefix(cost)}${base64(salt)}$${base64(hash)}`;
};

/**
 * Whether a prepared password belongs to a PHC string. Runs in the thread pool.
 *
 * @throws {FengniError} `verifier-damaged`
 */
export const passwordMatches = async (prepared: string, phc: string): Promise<boolean> => {
  const parsed = parsePhc(phc);
  if (parsed === null)
    throw new FengniError('verifier-damaged', {
      subject: 'a stored password verifier',
      remedy: 'set the password anew',
    });
  return timingSafeEqual(await derive(prepared, parsed), parsed.hash);
};

const phcPattern =
  /^\$(argon2id?)\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** What every hash of this cost begins with. */
export const phcPrefix = ({ memoryKiB, passes, lanes }: Argon2Cost): string =>
  `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$`;

/** Null where it is neither argon2id nor argon2i, or asks for more than 1 GiB, 16 passes or 4 lanes: an imported hash must not stop us. */
export const parsePhc = (phc: string): Phc | null => {
  const match = phcPattern.exec(phc);
  if (match === null) return null;
  const [memoryKiB, passes, lanes] = [Number(match[2]), Number(match[3]), Number(match[4])];
  if (lanes < 1 || lanes > 4 || passes < 1 || passes > 16) return null;
  if (memoryKiB < 8 * lanes || memoryKiB > 1024 * 1024) return null;
  const [salt, hash] = [match[5] ?? '', match[6] ?? ''].map((text) => Buffer.from(text, 'base64')) as [
    Buffer,
    Buffer,
  ];
  const algorithm = match[1] === 'argon2i' ? 'argon2i' : 'argon2id';
  return { algorithm, memoryKiB, passes, lanes, salt, hash };
};

const argon2Async = promisify(argon2);

const derive = async (prepared: string, phc: Phc): Promise<Uint8Array> =>
  argon2Async(phc.algorithm, {
    message: Buffer.from(prepared, 'utf8'),
    nonce: phc.salt,
    parallelism: phc.lanes,
    tagLength: phc.hash.length,
    memory: phc.memoryKiB,
    passes: phc.passes,
  });

const base64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64').replace(/=+$/, '');

/** 32 signs without i, l, o, u: none is taken for another, and no word comes out. @source Crockford's base 32 */
const readable = '0123456789abcdefghjkmnpqrstvwxyz';

/** A password to be read and typed by people: groups of six signs, 30 bits each; three groups have 90 bits. */
export const generatePassword = (random: Random, groups = 3): string =>
  Array.from({ length: groups }, () => Array.from(random(6), (octet) => readable[octet & 31]).join('')).join(
    '-',
  );
