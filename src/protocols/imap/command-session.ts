import type { SaslProof } from '#protocols/sasl';
import type { Features } from './features.ts';
import type { MailboxView } from './mailbox-view.ts';
import type { Reply } from './reply.ts';
import type { ImapServer } from './server.ts';
import type { AccountSession, SelectedMailbox } from './store.ts';
import type { ImapTransport } from './transport.ts';

/** Which changes of the selected mailbox may be told before a tagged reply. @source RFC 9051 §5.2, §7.5.1 */
export type Tells = 'all' | 'no-expunge' | 'nothing';

/** A line that a command waits for: the answer to a continuation, IDLE's DONE. */
export interface Continuation {
  readonly tag: string;
  readonly tells: Tells;
  line(session: CommandSession, text: string): Reply | null | Promise<Reply | null>;
}

/** A session as its commands see it. */
export interface CommandSession {
  readonly server: ImapServer;
  readonly transport: ImapTransport;
  /** null before the log-in */
  readonly account: AccountSession | null;
  /** null where no mailbox is selected */
  readonly view: MailboxView | null;
  readonly capabilities: string;
  readonly features: Features;
  /** Whether the connection is gone or about to go. */
  readonly closedOrLeaving: boolean;
  /** IDLE without DONE: changes are told at once */
  idling: boolean;
  /** Text for the client, one octet a character; it goes out with what follows. */
  send(text: string): void;
  /** Octets that stay as they are until they are written. */
  sendOctets(octets: Uint8Array): void;
  /** For long replies: writes when there is a batch, and waits while the client does not take it. */
  breathe(): Promise<void>;
  /** The command is not over before a line has come. */
  awaitLine(continuation: Continuation): null;
  authenticate(authorizationId: string, authenticationId: string, password: string): Promise<Reply>;
  /** Asks about a proof; the account waits until `enterProved` tells whether the client has seen the server's signature. */
  prove(
    proof: SaslProof,
  ): Promise<{ kind: 'proved'; serverSignature: Uint8Array } | { kind: 'reply'; reply: Reply }>;
  enterProved(isSeen: boolean): Reply;
  /** The TLS handshake, after the reply to STARTTLS has gone out in clear. */
  startTls(tag: string): Promise<Reply | null>;
  select(mailbox: SelectedMailbox, readOnly: boolean): MailboxView;
  /** Gives the mailbox back, if there is one. */
  unselect(): void;
  /** LOGOUT: the reply, then the end. */
  logOut(tag: string): null;
  /** The connection ends here, inside whatever it was in. */
  cutOff(): void;
}
