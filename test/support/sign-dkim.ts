import { createHash, type KeyObject, sign } from 'node:crypto';
import { fromLatin1 } from '#base/bytes';
import { type Canonicalization, canonicalField, FieldSelector, SignedMessage } from '#trust/dkim';

export interface DkimSigner {
  readonly domain: string;
  readonly selector: string;
  /** a private key: RSA or Ed25519 */
  readonly key: KeyObject;
  readonly header?: Canonicalization;
  readonly body?: Canonicalization;
  /** names in `h=`, in any case; a name once more than its fields keeps anybody from adding one */
  readonly signedFields: readonly string[];
  /** further tags as `name=value`, in their order */
  readonly tags?: readonly string[];
  /** octets of the body to sign (`l=`) */
  readonly length?: number;
}

/**
 * The field DKIM-Signature of a message, with the CRLF behind it: to be put in front.
 *
 * @param message its octets in pieces, lines ending in CRLF
 * @source RFC 6376 §5, RFC 8463 §3
 */
export const signDkim = async (message: Iterable<Uint8Array>, signer: DkimSigner): Promise<string> => {
  const { header = 'relaxed', body = 'relaxed', signedFields, tags = [], length } = signer;
  const algorithm = signer.key.asymmetricKeyType === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256';
  let selected = '';
  let bodyHash: () => { digest: Uint8Array } | null = () => null;
  const signed = new SignedMessage(({ fields }, hashes) => {
    const names = signedFields.map((name) => name.toLowerCase());
    selected = new FieldSelector(fields).select(names, header, -1);
    bodyHash = hashes.want(body, 'sha256', length ?? null);
  });
  for (const piece of message) signed.write(piece);
  signed.end();
  const digest = Buffer.from(bodyHash()?.digest ?? []).toString('base64');
  const words = [
    'v=1',
    `a=${algorithm}`,
    `c=${header}/${body}`,
    `d=${signer.domain}`,
    `s=${signer.selector}`,
    ...tags,
    ...(length === undefined ? [] : [`l=${length}`]),
    `h=${signedFields.join(':')}`,
    `bh=${digest}`,
  ];
  const unsigned = `DKIM-Signature: ${words.join(';\r\n ')};\r\n b=`;
  const data = fromLatin1(selected + canonicalField(unsigned, header));
  const signature = await signOctets(algorithm, data, signer.key);
  const lines = signature.toString('base64').match(/.{1,70}/g) ?? [];
  return `${unsigned}${lines.join('\r\n ')}\r\n`;
};

const signOctets = (algorithm: string, data: Uint8Array, key: KeyObject): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const done = (error: Error | null, signature: Buffer): void =>
      error === null ? resolve(signature) : reject(error);
    if (algorithm === 'ed25519-sha256') sign(null, createHash('sha256').update(data).digest(), key, done);
    else sign('sha256', data, key, done);
  });
