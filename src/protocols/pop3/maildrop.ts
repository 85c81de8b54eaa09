import type { SaslProof, ScramParameters } from '#protocols/sasl';

/** A code in brackets behind `-ERR`. @source RFC 2449 §8.1, RFC 3206 §4, RFC 6856 §2 */
export type Pop3ResponseCode = 'AUTH' | 'IN-USE' | 'LOGIN-DELAY' | 'SYS/TEMP' | 'SYS/PERM' | 'UTF8';

export interface Pop3Credentials {
  readonly user: string;
  readonly password: string;
  readonly peer: { readonly address: string; readonly port: number };
  /** ends the session: what it logged in with holds no longer */
  readonly end: () => void;
}

export interface Pop3Refusal {
  readonly kind: 'refused';
  readonly code: Pop3ResponseCode;
  readonly text: string;
}

/** What POP3 needs to let somebody in. */
export interface Pop3Login {
  /** Takes as long as it takes: slowing down guessing is the service's matter. */
  verify(
    credentials: Pop3Credentials,
  ): Promise<{ readonly kind: 'granted'; readonly maildrop: Maildrop } | Pop3Refusal>;
  /** left out where only passwords are known */
  readonly scram?: Pop3Scram;
}

/** SCRAM for app passwords. @source RFC 5802 */
export interface Pop3Scram {
  /** whether it is announced */
  offered(): boolean;
  parameters(user: string): Promise<({ readonly kind: 'parameters' } & ScramParameters) | Pop3Refusal>;
  prove(
    proof: SaslProof & Pick<Pop3Credentials, 'peer' | 'end'>,
  ): Promise<
    | { readonly kind: 'granted'; readonly maildrop: Maildrop; readonly serverSignature: Uint8Array }
    | Pop3Refusal
  >;
}

export interface MaildropMessage {
  readonly sizeBytes: number;
  /** 1 to 70 characters from 0x21 to 0x7e, never the same for two messages of the account (RFC 1939 §7) */
  readonly uidl: string;
}

export type OpenedMessage =
  /**
   * The message may be read. Damage should be found before this is said; when reading `octets` throws afterwards, the
   * session is ended without the final dot, and the client knows that it has not got the message.
   */
  | { readonly kind: 'found'; readonly sizeBytes: number; readonly octets: AsyncIterable<Uint8Array> }
  | { readonly kind: 'damaged' }
  /** removed by another session since the log-in */
  | { readonly kind: 'gone' };

export type QuitOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: 'SYS/TEMP' | 'SYS/PERM' | 'IN-USE'; readonly text: string };

/** An account's inbox as one POP3 session sees it: as it was at the log-in. */
export interface Maildrop {
  readonly messages: readonly MaildropMessage[];
  /** @param index from 0 */
  open(index: number): Promise<OpenedMessage>;
  /** Removes these messages, all or none; called once at most, with no index when there is nothing to remove. */
  quit(deleted: readonly number[]): Promise<QuitOutcome>;
  /** The session is over, with or without `quit`: called once, last of all. */
  close(): void;
}
