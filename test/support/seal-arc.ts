import { createHash, type KeyObject, sign } from 'node:crypto';
import { fromLatin1 } from '#base/bytes';
import { type ArcResult, arcSetsMax, collectArcSets } from '#trust/arc';
import { type BodyHash, canonicalField, FieldSelector, type SignedHeader, SignedMessage } from '#trust/dkim';

export interface ArcSealing {
  readonly domain: string;
  readonly selector: string;
  /** a private key: RSA or Ed25519 */
  readonly key: KeyObject;
  /** names in `h=` of the message signature; From among them */
  readonly signedFields: readonly string[];
  /** the value of our Authentication-Results for this message */
  readonly results: string;
  /** what was found of the chain that the message has */
  readonly chain: Pick<ArcResult, 'result'>;
  /** seconds since 1970 */
  readonly nowSeconds: number;
}

/**
 * The three fields of a further set, each with its CRLF, to be put in front of the message; null where no set may follow: the chain is
 * broken beyond reading, or full.
 *
 * @param message its octets in pieces, lines ending in CRLF
 * @source RFC 8617 §5.1
 */
export const sealArc = async (message: Iterable<Uint8Array>, sealing: ArcSealing): Promise<string | null> => {
  const { domain, selector, key, signedFields, results, chain, nowSeconds } = sealing;
  let header: SignedHeader = { fields: [], limit: null };
  let bodyHash: () => BodyHash | null = () => null;
  const whole = new SignedMessage((found, body) => {
    header = found;
    bodyHash = body.want('relaxed', 'sha256', null);
  });
  for (const piece of message) whole.write(piece);
  whole.end();

  const collected = collectArcSets(header.fields);
  const sets = collected.kind === 'sets' ? collected.sets : [];
  const instance = sets.length + 1;
  if (collected.kind === 'broken' || header.limit !== null || instance > arcSetsMax) return null;
  const algorithm = key.asymmetricKeyType === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256';
  const common = `i=${instance}; a=${algorithm}; d=${domain}; s=${selector}; t=${nowSeconds};`;

  const resultsField = `ARC-Authentication-Results: i=${instance}; ${results}`;
  const digest = Buffer.from(bodyHash()?.digest ?? []).toString('base64');
  const unsigned = `ARC-Message-Signature: ${common}\r\n c=relaxed/relaxed; h=${signedFields.join(':')};\r\n bh=${digest};\r\n b=`;
  const names = signedFields.map((name) => name.toLowerCase());
  const selected = new FieldSelector(header.fields).select(names, 'relaxed', -1);
  const messageField = unsigned + (await signed(selected + canonicalField(unsigned, 'relaxed'), key));

  const cv = instance === 1 ? 'none' : chain.result === 'pass' ? 'pass' : 'fail';
  const unsealed = `ARC-Seal: ${common} cv=${cv};\r\n b=`;
  // RFC 8617 §5.1.2: over a broken chain the seal signs its own set alone.
  const before = cv === 'fail' ? [] : sets;
  const text = [
    ...before.flatMap((set) => [set.resultsField.raw, set.messageSignature.raw, set.seal.raw]),
    resultsField,
    messageField,
  ]
    .map((raw) => `${canonicalField(raw, 'relaxed')}\r\n`)
    .join('');
  const sealField = unsealed + (await signed(text + canonicalField(unsealed, 'relaxed'), key));
  return `${sealField}\r\n${messageField}\r\n${resultsField}\r\n`;
};

/** The value of `b=`, in lines. */
const signed = async (text: string, key: KeyObject): Promise<string> => {
  const octets = fromLatin1(text);
  const signature = await new Promise<Buffer>((resolve, reject) => {
    const done = (error: Error | null, made: Buffer): void =>
      error === null ? resolve(made) : reject(error);
    if (key.asymmetricKeyType === 'ed25519')
      sign(null, createHash('sha256').update(octets).digest(), key, done);
    else sign('sha256', octets, key, done);
  });
  return (signature.toString('base64').match(/.{1,70}/g) ?? []).join('\r\n ');
};
