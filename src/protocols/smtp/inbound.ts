/** One mail transaction of a peer, from MAIL on, as the service sees it. */
export interface InboundTransaction {
  readonly peer: { readonly address: string; readonly port: number };
  /** the argument of EHLO or HELO, as sent */
  readonly helo: string;
  /** the word for `with` in `Received` (RFC 3848, RFC 6531 §4.3) */
  readonly protocol: 'SMTP' | 'ESMTP' | 'ESMTPS' | 'UTF8SMTP' | 'UTF8SMTPS';
  readonly tls: InboundTls | null;
  /** the reverse-path's mailbox as sent; empty for `<>` */
  readonly mailFrom: string;
  readonly smtpUtf8: boolean;
  readonly body: '7BIT' | '8BITMIME';
  /** the SIZE parameter in octets, or null */
  readonly sizeDeclared: number | null;
}

export interface InboundTls {
  readonly version: string;
  readonly cipher: string;
  /** the key exchange group; null where the runtime does not tell it */
  readonly group: string | null;
}

/** A reply that refuses: an SMTP code (4xx or 5xx), an enhanced status code (RFC 3463) and an English text. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
}

export type RecipientVerdict = { readonly kind: 'accepted'; readonly key: string } | Refusal;

export interface AcceptedRecipient {
  /** the forward-path's mailbox as sent */
  readonly address: string;
  /** what the service called it when it accepted it */
  readonly key: string;
}

export type DeliveryOutcome =
  | { readonly kind: 'accepted'; readonly id: string; readonly sha256Hex: string }
  | Refusal;

/** What the receiving side of SMTP needs of the mail system. */
export interface InboundService {
  /** Asked for every RCPT, one at a time in a session. */
  recipient(transaction: InboundTransaction, address: string): Promise<RecipientVerdict>;
  /** Asked when DATA is answered with 354. Throws only by mistake: a refusal comes from `finish`. */
  begin(transaction: InboundTransaction, recipients: readonly AcceptedRecipient[]): InboundDelivery;
}

/** A message on its way in. Calls come one after the other: none before the promise of the one before has settled. */
export interface InboundDelivery {
  /** Takes the next octets of the message. They are not changed afterwards; keeping them keeps a network chunk. */
  write(octets: Uint8Array): void | Promise<void>;
  /** The message is complete. Accepted means durable. */
  finish(): Promise<DeliveryOutcome>;
  /** The message will not be completed: forget it. May come while a `write` is under way; nothing is called afterwards. */
  abort(): void;
}
