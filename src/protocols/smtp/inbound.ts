import type { RecipientDsn } from './dsn.ts';

/** A proxy or relay that we took at its word about the peer. */
export interface Via {
  readonly by: 'PROXY' | 'XCLIENT' | 'XFORWARD';
  /** its own address; empty on a Unix socket */
  readonly address: string;
}

/** Who gives us mail: as the connection says, or as those in `via` say. */
export interface TransactionPeer {
  /** an IP address; empty on a Unix socket, and where a relay does not know it */
  readonly address: string;
  readonly port: number;
  /** a host name that a relay claims, or null; we look none up */
  readonly name: string | null;
  /** whose word this is, from the one that is connected to us on; none: we see the peer ourselves */
  readonly via: readonly Via[];
}

/** One mail transaction of a peer, from MAIL on, as the service sees it. */
export interface InboundTransaction {
  readonly peer: TransactionPeer;
  /** the argument of EHLO, HELO or LHLO, as sent, or as a relay says that it was sent to it */
  readonly helo: string;
  /** the word for `with` in `Received` (RFC 3848, RFC 6531 §4.3) */
  readonly protocol: WithProtocol;
  readonly tls: InboundTls | null;
  /** the reverse-path's mailbox as sent; empty for `<>` */
  readonly mailFrom: string;
  readonly smtpUtf8: boolean;
  readonly body: '7BIT' | '8BITMIME' | 'BINARYMIME';
  /** the SIZE parameter in octets, or null */
  readonly sizeDeclared: number | null;
  /** the message must not leave without TLS (RFC 8689) */
  readonly requireTls: boolean;
  /** what a bounce brings back (RFC 3461 §4.3); null: not said */
  readonly ret: 'FULL' | 'HDRS' | null;
  /** the sender's name for the transaction in xtext (RFC 3461 §4.4), or null */
  readonly envid: string | null;
  /** all parameters of MAIL, as received, in their order */
  readonly parameters: readonly string[];
}

export type WithProtocol = 'SMTP' | `${'ESMTP' | 'UTF8SMTP' | 'LMTP' | 'UTF8LMTP'}${'' | 'S'}`;

export interface InboundTls {
  readonly version: string;
  readonly cipher: string;
  /** the key exchange group; null where the runtime does not tell it */
  readonly group: string | null;
  /** the certificate that the peer showed; null where it showed none */
  readonly client?: InboundClientCertificate | null;
}

export interface InboundClientCertificate {
  /** of its octets (DER) */
  readonly sha256: Uint8Array;
  readonly subject: string;
  readonly names: readonly string[];
  /** `verified`, or why not */
  readonly verdict: string;
}

/** A reply that refuses: an SMTP code (4xx or 5xx), an enhanced status code (RFC 3463) and an English text. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
  /** a word for the rule that refuses, for our own records */
  readonly reason?: string;
  /** what is known of the message that is refused, for our own records */
  readonly message?: RefusedMessage;
}

/** What is known of a message that was not taken. */
export interface RefusedMessage {
  readonly id?: string;
  readonly sha256Hex?: string;
  readonly sizeBytes?: number;
  /** without `<` and `>` */
  readonly messageId?: string | null;
  /** the first address of From */
  readonly author?: string | null;
  /** the peer's host name as DNS tells it */
  readonly reverse?: string | null;
}

/** What a reply with 4xx or 5xx was about. */
export interface RefusedAttempt {
  /** what the peer was at: a command, a sender, a recipient, the message */
  readonly stage: 'command' | 'mail' | 'rcpt' | 'data';
  readonly peer: TransactionPeer;
  readonly helo: string | null;
  readonly protocol: WithProtocol;
  readonly tls: InboundTls | null;
  /** the reverse-path's mailbox; null where none was given */
  readonly mailFrom: string | null;
  /** forward-paths that the reply is about */
  readonly recipients: readonly string[];
}

export const refusal = (code: number, enhanced: string, text: string): Refusal => ({
  kind: 'refused',
  code,
  enhanced,
  text,
});

/** Of whoever cannot reach the mail store. */
export const storeIsAway = refusal(451, '4.3.0', 'The mail store does not answer, try again later');

export type RecipientVerdict = { readonly kind: 'accepted'; readonly key: string } | Refusal;

export interface AcceptedRecipient {
  /** the forward-path's mailbox as sent */
  readonly address: string;
  /** what the service called it when it accepted it */
  readonly key: string;
  /** what the sender asks to be told of it (RFC 3461), or null */
  readonly dsn: RecipientDsn | null;
}

export type DeliveryOutcome =
  | {
      readonly kind: 'accepted';
      readonly id: string;
      readonly sha256Hex: string;
      /** recipients that got no copy after all, by their index: over LMTP only, where each has its own reply */
      readonly except?: ReadonlyMap<number, Refusal>;
    }
  | Refusal;

export type SenderVerdict = { readonly kind: 'accepted' } | Refusal;

/** What the receiving side of SMTP needs of the mail system. */
export interface InboundService {
  /** Asked for every MAIL: whether a message should be begun at all. */
  sender(transaction: InboundTransaction): SenderVerdict | Promise<SenderVerdict>;
  /** Asked for every RCPT, one at a time in a session. */
  recipient(transaction: InboundTransaction, address: string): Promise<RecipientVerdict>;
  /** Asked when DATA is answered with 354, and at the first BDAT. Throws only by mistake: a refusal comes from `finish`. */
  begin(transaction: InboundTransaction, recipients: readonly AcceptedRecipient[]): InboundDelivery;
}

/** A message on its way in. Calls come one after the other: none before the promise of the one before has settled. */
export interface InboundDelivery {
  /** Takes the next octets of the message. They are not changed afterwards; keeping them keeps a network chunk. */
  write(octets: Uint8Array): void | Promise<void>;
  /** The message is complete. Accepted means durable. */
  finish(): Promise<DeliveryOutcome>;
  /** What is known of a message that will not be completed, from what has come of it: before `abort`, for our own records. */
  seen?(): RefusedMessage;
  /** The message will not be completed: forget it. May come while a `write` is under way; nothing is called afterwards. */
  abort(): void;
}
