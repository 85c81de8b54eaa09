import { parseSaslBase64 } from './base64.ts';
import type { SaslChannel, SaslExchange } from './exchange.ts';
import type { SaslStep, ScramParameters } from './step.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** octets of a client's message; names have at most 320, nonces about 30 */
const messageBytesMax = 2_048;
const nonceBytes = 18;
const proofBytes = 32;

const malformed = (reason: string): SaslStep => ({ kind: 'malformed', reason });

type ChannelFlag = { readonly kind: 'none' | 'unused' } | { readonly kind: 'bound'; readonly name: string };

interface First {
  readonly flag: ChannelFlag;
  readonly authorizationId: string;
  readonly user: string;
  readonly nonce: string;
  /** gs2-header, as it came */
  readonly header: string;
  /** client-first-message-bare, as it came */
  readonly bare: string;
}

/**
 * The server's side of SCRAM-SHA-256 and, with `plus`, SCRAM-SHA-256-PLUS. Keys stay with who checks the proof.
 *
 * @source RFC 5802, RFC 7677; channel bindings: RFC 9266, RFC 5929 §4
 */
export const scram = (plus: boolean, channel: SaslChannel): SaslExchange => {
  let first: First | null = null;
  let serverFirst = '';
  let nonce = '';
  let state: 'first' | 'parameters' | 'final' | 'proof' | 'signature' | 'over' = 'first';
  let signature = '';

  const begin = (octets: Uint8Array): SaslStep => {
    state = 'over';
    const read = readFirst(octets);
    if (typeof read === 'string') return malformed(read);
    const { flag } = read;
    if (plus && flag.kind !== 'bound') return malformed('PLUS binds to the channel');
    if (!plus && flag.kind === 'bound') return malformed('channel binding comes with PLUS');
    // RFC 5802 §6: a client that could bind and thinks that we cannot has been lied to about our mechanisms.
    if (flag.kind === 'unused' && channel.offersPlus)
      return malformed('the server supports channel binding, and somebody hid it');
    if (flag.kind === 'bound' && channel.binding(flag.name) === null)
      return malformed('this channel binding is not supported');
    first = read;
    state = 'parameters';
    return { kind: 'parameters', user: read.user };
  };

  const final = (octets: Uint8Array): SaslStep => {
    state = 'over';
    const text = decoded(octets);
    const match =
      /^c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)((?:,[A-Za-z]=[^\0,]*)*),p=([A-Za-z0-9+/=]+)$/.exec(
        text ?? '',
      );
    if (text === null || match === null || first === null) return malformed('not a final message of SCRAM');
    const binding = parseSaslBase64(match[1] ?? '');
    const proof = parseSaslBase64(match[4] ?? '');
    if (binding === null || proof === null || proof.length !== proofBytes)
      return malformed('not a final message of SCRAM');
    if (match[2] !== nonce) return malformed('the nonce is another one');
    const { flag, header } = first;
    const data = flag.kind === 'bound' ? channel.binding(flag.name) : new Uint8Array(0);
    if (data === null || !Buffer.concat([Buffer.from(header), data]).equals(binding))
      return malformed('the channel is another one');
    const withoutProof = text.slice(0, text.lastIndexOf(',p='));
    state = 'proof';
    return {
      kind: 'proof',
      proof: {
        user: first.user,
        authorizationId: first.authorizationId,
        authMessage: Buffer.from(`${first.bare},${serverFirst},${withoutProof}`),
        proof,
      },
    };
  };

  return {
    begin: (initial) =>
      initial === null ? { kind: 'challenge', octets: new Uint8Array(0) } : begin(initial),
    respond: (octets) => {
      if (state === 'first') return begin(octets);
      if (state === 'final') return final(octets);
      if (state !== 'signature') throw new RangeError('a response that nobody waits for');
      state = 'over';
      return octets.length === 0 ? { kind: 'done' } : malformed('nothing is left to say');
    },
    parameters: ({ salt, iterations }: ScramParameters) => {
      if (state !== 'parameters' || first === null) throw new RangeError('parameters that nobody asked for');
      nonce = first.nonce + Buffer.from(channel.random(nonceBytes)).toString('base64');
      serverFirst = `r=${nonce},s=${Buffer.from(salt).toString('base64')},i=${iterations}`;
      state = 'final';
      return { kind: 'challenge', octets: Buffer.from(serverFirst) };
    },
    proved: (serverSignature: Uint8Array) => {
      if (state !== 'proof') throw new RangeError('a signature that nobody asked for');
      signature = Buffer.from(serverSignature).toString('base64');
      state = 'signature';
      return { kind: 'challenge', octets: Buffer.from(`v=${signature}`) };
    },
  };
};

const decoded = (octets: Uint8Array): string | null => {
  if (octets.length > messageBytesMax) return null;
  try {
    return utf8.decode(octets);
  } catch {
    return null;
  }
};

/** The client's first message, or what is wrong with it. @source RFC 5802 §7 */
const readFirst = (octets: Uint8Array): First | string => {
  const text = decoded(octets);
  if (text === null) return 'not a message of SCRAM';
  const match =
    /^((n|y|p=([A-Za-z0-9.-]+)),(?:a=([^\0,]+))?,)((?:m=)?)(n=([^\0,]+),r=([\x21-\x2b\x2d-\x7e]{1,256})(?:,[A-Za-z]=[^\0,]*)*)$/.exec(
      text,
    );
  if (match === null) return 'not a first message of SCRAM';
  if (match[5] !== '') return 'extensions are not supported';
  const user = saslName(match[7] ?? '');
  const authorizationId = saslName(match[4] ?? '');
  if (user === null || authorizationId === null) return 'a name has = only as =2C and =3D';
  return {
    flag:
      match[3] === undefined
        ? { kind: match[2] === 'y' ? 'unused' : 'none' }
        : { kind: 'bound', name: match[3] },
    authorizationId,
    user,
    nonce: match[8] ?? '',
    header: match[1] ?? '',
    bare: match[6] ?? '',
  };
};

const saslName = (text: string): string | null => {
  if (/=(?!2C|3D)/.test(text)) return null;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
};
