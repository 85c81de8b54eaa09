import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import { hashBytes } from './hash.ts';
import { base64, isoTime } from './text.ts';

/** What MAIL FROM said; recipients have a tree of their own. */
export interface EnvelopeEvidence {
  /** the reverse-path without its angle brackets; empty for `<>` */
  readonly mailFrom: string;
  /** the parameters as received, in their order: `SIZE=1000`, `SMTPUTF8` */
  readonly parameters: readonly string[];
}

/** Who gave us the message, and how. A value that does not apply is left out. */
export interface SessionEvidence {
  /** the peer's address, or `unix` for a Unix socket; none for a message that came by a command on this machine */
  readonly peer?: string;
  readonly port?: number;
  /** its host name, where a relay claims one */
  readonly name?: string;
  /** a host name that the address points to and that points back to it, as DNS said then */
  readonly reverse?: string;
  /** `XFORWARD 192.0.2.1`: whose word the lines above are, from the one that was connected to us on; none: we saw it ourselves */
  readonly via?: readonly string[];
  /** what EHLO, HELO or LHLO named */
  readonly helo?: string;
  /** the `with` word of the Received field (ESMTPS, LMTP, …) or IMAP, JMAP, IMPORT, … */
  readonly protocol: string;
  /** the account that was logged in */
  readonly account?: string;
  /** the user of this machine that ran the command it came by, as a number */
  readonly uid?: number;
  readonly tls?: {
    /** as TLS libraries spell it: `TLSv1.3` */
    readonly version: string;
    readonly cipher: string;
    readonly group?: string;
    /** the certificate that the peer showed, and proved to have the key of */
    readonly client?: {
      /** of its octets (DER) */
      readonly sha256: Uint8Array;
      /** as the certificate says; empty where it says none */
      readonly subject: string;
      readonly names: readonly string[];
      /** `verified`, or why not */
      readonly verdict: string;
    };
  };
  /** milliseconds since 1970: when the message was complete */
  readonly timeMs: number;
}

/** What our checks found. */
export interface AuthenticationEvidence {
  /** the value of each Authentication-Results field, unfolded */
  readonly results: readonly string[];
  /** each DKIM key record used: where it lay and SHA-256 of its text */
  readonly keys: readonly { readonly name: string; readonly sha256: Uint8Array }[];
}

/** The canonical text that `env` commits to. */
export const encodeEnvelope = (envelope: EnvelopeEvidence): Uint8Array =>
  lines([
    ['from', `<${envelope.mailFrom}>`],
    ...envelope.parameters.map((parameter): Line => ['parameter', parameter]),
  ]);

/** The canonical text that `ses` commits to. */
export const encodeSession = (session: SessionEvidence): Uint8Array =>
  lines([
    ['peer', session.peer],
    ['port', session.port === undefined ? undefined : String(session.port)],
    ['name', session.name],
    ['reverse', session.reverse],
    ...(session.via ?? []).map((via): Line => ['via', via]),
    ['helo', session.helo],
    ['protocol', session.protocol],
    ['account', session.account],
    ['uid', session.uid === undefined ? undefined : String(session.uid)],
    ['tls', session.tls?.version],
    ['cipher', session.tls?.cipher],
    ['group', session.tls?.group],
    ...clientLines(session.tls?.client),
    ['time', isoTime(session.timeMs)],
  ]);

const clientLines = (client: NonNullable<SessionEvidence['tls']>['client']): Line[] => {
  if (client === undefined) return [];
  assert.equal(client.sha256.length, hashBytes);
  return [
    ['client', `sha256=${base64(client.sha256)}`],
    ['client-subject', client.subject === '' ? undefined : client.subject],
    ...client.names.map((name): Line => ['client-name', name]),
    ['client-check', client.verdict],
  ];
};

/** The canonical text that `aut` commits to. */
export const encodeAuthentication = (authentication: AuthenticationEvidence): Uint8Array =>
  lines([
    ...authentication.results.map((value): Line => ['results', value]),
    ...authentication.keys.map((key): Line => {
      assert.equal(key.sha256.length, hashBytes);
      return ['key', `${key.name} sha256=${base64(key.sha256)}`];
    }),
  ]);

/** The octets that a recipient's commitment is made of: the address as it was given in RCPT TO, without angle brackets. */
export const encodeRecipient = (address: string): Uint8Array => utf8(address);

type Line = readonly [name: string, value: string | undefined];

const lines = (all: readonly Line[]): Uint8Array => {
  let text = '';
  for (const [name, value] of all) if (value !== undefined) text += `${name} ${oneLine(value)}\n`;
  return utf8(text);
};

/** A value stays one line whatever a stranger put into it: controls and the backslash become `\xHH`. */
const oneLine = (value: string): string =>
  value.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these would break or forge a line
    /[\x00-\x1f\x7f\\]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
