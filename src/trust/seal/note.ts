import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concat, equalBytes, fromHex, hex, utf8 } from '#base/bytes';
import { hashBytes, sha256 } from './hash.ts';
import { base64, malformed, parseBase64, parseUtf8 } from './text.ts';

/** Ed25519 over the note's text, or a witness's timestamped Ed25519 cosignature. */
export type KeyKind = 'ed25519' | 'cosignature';

/** Who may sign a note, as text `<name>+<key id in hex>+<base64(type ‖ public key)>`. */
export interface VerifierKey {
  readonly name: string;
  /** 4 octets */
  readonly id: Uint8Array;
  readonly kind: KeyKind;
  /** 32 octets */
  readonly publicKey: Uint8Array;
}

/** Who signs notes. The seed is the secret. */
export interface SignerKey extends VerifierKey {
  /** 32 octets; RFC 8032 §5.1.5 calls it the private key */
  readonly seed: Uint8Array;
}

export interface NoteSignature {
  readonly name: string;
  /** 4 octets */
  readonly keyId: Uint8Array;
  /** what follows the key id */
  readonly signature: Uint8Array;
}

export interface Note {
  /** the signed text, its final newline included */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export type NoteVerdict =
  | { readonly kind: 'signed' }
  /** no line by the key: name and key id never both matched */
  | { readonly kind: 'not-signed' }
  /** a line by the key does not verify: the whole note is refused */
  | { readonly kind: 'bad-signature' };

/** A larger note is refused unread; 16 lines of the largest post-quantum signature fit. */
export const noteBytesMax = 262_144;
/** A note with more lines is refused; the specification asks for at least 16. */
export const noteSignaturesMax = 32;
/** octets of a key's name; an ML-DSA cosignature could not name a longer one */
export const keyNameBytesMax = 255;

/**
 * Reads a signed note; nothing is verified.
 *
 * @throws {FengniError} `note-malformed`
 * @source C2SP signed-note
 */
export const parseNote = (octets: Uint8Array): Note => {
  if (octets.length > noteBytesMax) throw malformed('note', `more than ${noteBytesMax} octets`);
  const whole = parseUtf8(octets);
  if (whole === null) throw malformed('note', 'not UTF-8');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these
  if (/[\x00-\x09\x0b-\x1f]/.test(whole)) throw malformed('note', 'a control character');
  const split = whole.lastIndexOf('\n\n');
  if (split <= 0) throw malformed('note', 'no empty line before the signatures');
  const block = whole.slice(split + 2);
  if (!block.endsWith('\n')) throw malformed('note', 'the last signature line does not end');
  const lines = block.slice(0, -1).split('\n');
  if (lines.length > noteSignaturesMax) throw malformed('note', `more than ${noteSignaturesMax} signatures`);
  return { text: whole.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
};

/** The octets of a note. */
export const encodeNote = (note: Note): Uint8Array => {
  assert(note.text.endsWith('\n') && note.signatures.length > 0);
  const lines = note.signatures.map(signatureLine);
  return utf8(`${note.text}\n${lines.join('')}`);
};

/**
 * Signs a text with Ed25519.
 *
 * @param text ends in a newline, has no other control character
 * @source C2SP signed-note “Ed25519 signatures”, RFC 8032 §5.1.6
 */
export const signText = (text: string, key: SignerKey): NoteSignature => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these
  assert(text.endsWith('\n') && !/[\x00-\x09\x0b-\x1f]/.test(text) && text.isWellFormed());
  assert.equal(key.kind, 'ed25519');
  const signature = new Uint8Array(sign(null, utf8(text), privateKeyOf(key.seed)));
  return { name: key.name, keyId: key.id, signature };
};

/** A note with one signature for each key. */
export const signNote = (text: string, keys: readonly SignerKey[]): Uint8Array =>
  encodeNote({ text, signatures: keys.map((key) => signText(text, key)) });

/**
 * Whether a key signed a note. Lines by others, even of the same name or the same id, are ignored.
 *
 * @source C2SP signed-note “Signatures”, tlog-cosignature “Ed25519 signed message”
 */
export const verifyNote = (note: Note, key: VerifierKey): NoteVerdict => {
  const own = note.signatures.filter((line) => line.name === key.name && equalBytes(line.keyId, key.id));
  if (own.length === 0) return { kind: 'not-signed' };
  return own.every((line) => verifyLine(note.text, line.signature, key))
    ? { kind: 'signed' }
    : { kind: 'bad-signature' };
};

/** The seconds since 1970 in a cosignature that `verifyNote` accepted, or null where the key made no line. */
export const cosignatureTime = (note: Note, key: VerifierKey): bigint | null => {
  const line = note.signatures.find((own) => own.name === key.name && equalBytes(own.keyId, key.id));
  if (line === undefined || line.signature.length !== 8 + 64) return null;
  return new DataView(line.signature.buffer, line.signature.byteOffset).getBigUint64(0);
};

/** The key id: the first four octets of SHA-256(name ‖ LF ‖ type ‖ public key). */
export const keyId = (name: string, kind: KeyKind, publicKey: Uint8Array): Uint8Array =>
  sha256(concat([utf8(`${name}\n`), typeOctet(kind), publicKey])).subarray(0, 4);

/** A verifier key from its parts. @throws {FengniError} `key-malformed` */
export const verifierKey = (name: string, publicKey: Uint8Array, kind: KeyKind = 'ed25519'): VerifierKey => {
  if (!isKeyName(name)) throw malformed('key', 'a name that is empty, too long or has a blank or a plus');
  if (!isCanonicalPoint(publicKey)) throw malformed('key', 'not an Ed25519 public key');
  return { name, id: keyId(name, kind, publicKey), kind, publicKey };
};

/** `<name>+<id>+<base64>`, what `--key` takes. @source C2SP signed-note “Verifier keys” */
export const encodeVerifierKey = (key: VerifierKey): string =>
  `${key.name}+${hex(key.id)}+${base64(concat([typeOctet(key.kind), key.publicKey]))}`;

/**
 * Reads a verifier key; its id must be the one that its name, type and key give.
 *
 * @throws {FengniError} `key-malformed`
 */
export const parseVerifierKey = (text: string): VerifierKey => {
  const [name, id, material] = threeParts(text);
  const octets = parseBase64(material);
  const kind = octets?.length === 1 + 32 ? kinds.get(octets[0] as number) : undefined;
  if (octets === null || kind === undefined) throw malformed('key', 'a type that is not Ed25519');
  const key = verifierKey(name, octets.slice(1), kind);
  if (hex(key.id) !== id) throw malformed('key', 'the key id does not belong to the key');
  return key;
};

/** A signer key from its seed: 32 random octets. */
export const signerKey = (name: string, seed: Uint8Array): SignerKey => {
  assert.equal(seed.length, 32);
  const spki = createPublicKey(privateKeyOf(seed)).export({ format: 'der', type: 'spki' });
  return { ...verifierKey(name, new Uint8Array(spki.subarray(spki.length - 32))), seed };
};

/** `PRIVATE+KEY+<name>+<id>+<base64(type ‖ seed)>`, as Go's `note` package writes it. */
export const encodeSignerKey = (key: SignerKey): string =>
  `PRIVATE+KEY+${key.name}+${hex(key.id)}+${base64(concat([typeOctet(key.kind), key.seed]))}`;

/** @throws {FengniError} `key-malformed`; the text never appears in it */
export const parseSignerKey = (text: string): SignerKey => {
  if (!text.startsWith(secretMark)) throw malformed('key', 'not a signer key');
  const [name, id, material] = threeParts(text.slice(secretMark.length));
  const octets = parseBase64(material);
  if (octets?.length !== 1 + 32 || octets[0] !== 1) throw malformed('key', 'a type that is not Ed25519');
  const key = signerKey(name, octets.slice(1));
  if (hex(key.id) !== id) throw malformed('key', 'the key id does not belong to the key');
  return key;
};

/** Whether a text can name a key: not empty, at most 255 octets, no blank, no plus, no control character. */
export const isKeyName = (name: string): boolean =>
  name.isWellFormed() && /^[^+\p{White_Space}\p{Cc}]+$/u.test(name) && utf8(name).length <= keyNameBytesMax;

const secretMark = 'PRIVATE+KEY+';
const kinds: ReadonlyMap<number, KeyKind> = new Map([
  [1, 'ed25519'],
  [4, 'cosignature'],
]);
const typeOctet = (kind: KeyKind): Uint8Array => Uint8Array.of(kind === 'ed25519' ? 1 : 4);

const parseSignatureLine = (line: string): NoteSignature => {
  const [dash, name, text, ...more] = line.split(' ');
  if (dash !== '—' || name === undefined || text === undefined || more.length > 0)
    throw malformed('note', 'a signature line that is not “— name signature”');
  if (!isKeyName(name)) throw malformed('note', 'a signature line with an impossible key name');
  const octets = parseBase64(text);
  if (octets === null || octets.length <= 4) throw malformed('note', 'a signature that is not base 64');
  return { name, keyId: octets.slice(0, 4), signature: octets.slice(4) };
};

/** One signature line, its newline included. */
export const signatureLine = (line: NoteSignature): string =>
  `— ${line.name} ${base64(concat([line.keyId, line.signature]))}\n`;

const verifyLine = (text: string, signature: Uint8Array, key: VerifierKey): boolean => {
  if (key.kind === 'ed25519') return verifyEd25519(utf8(text), signature, key.publicKey);
  if (signature.length !== 8 + 64) return false;
  const time = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  if (time > 2n ** 63n - 1n) return false;
  return verifyEd25519(utf8(`cosignature/v1\ntime ${time}\n${text}`), signature.subarray(8), key.publicKey);
};

const verifyEd25519 = (message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean => {
  if (signature.length !== 64) return false;
  const der = Buffer.from(concat([spkiHead, publicKey]));
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
};

const threeParts = (text: string): [string, string, string] => {
  const parts = /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]*)$/.exec(text);
  if (parts === null) throw malformed('key', 'not “name+id+key”');
  return [parts[1] as string, parts[2] as string, parts[3] as string];
};

/** Whether 32 octets are a y coordinate below 2^255 − 19 with a sign: no point has two spellings. */
const isCanonicalPoint = (octets: Uint8Array): boolean => {
  if (octets.length !== hashBytes) return false;
  const top = (octets[31] as number) & 0x7f;
  const high = top === 0x7f && octets.subarray(1, 31).every((octet) => octet === 0xff);
  return !(high && (octets[0] as number) >= 0xed);
};

const derHead = (text: string): Uint8Array => fromHex(text) ?? assert.fail('a constant');
const pkcs8Head = derHead('302e020100300506032b657004220420');
const spkiHead = derHead('302a300506032b6570032100');

const privateKeyOf = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.from(concat([pkcs8Head, seed])), format: 'der', type: 'pkcs8' });
