import type { MessageStructure } from '#message';
import type { SaslProof, ScramParameters } from '#protocols/sasl';
import type { MailboxState } from './mailbox-state.ts';

/** A refusal that the client is told: `NO [code] text`; `code` without brackets, null for none. @source RFC 5530 §3 */
export interface Refused {
  readonly kind: 'refused';
  readonly code: string | null;
  readonly text: string;
}

export interface Done {
  readonly kind: 'done';
}

export interface Credentials {
  /** empty: the same as `authenticationId` */
  readonly authorizationId: string;
  readonly authenticationId: string;
  readonly password: string;
  readonly connection: ConnectionFacts;
  /** ends the session: what it logged in with holds no longer */
  readonly end?: () => void;
}

/** What the session runs over: for slowing down guesses, and for what the seal says of a message that is added. */
export interface ConnectionFacts {
  readonly peer: { readonly address: string; readonly port: number };
  /** null: in clear */
  readonly tls: { readonly version: string; readonly cipher: string } | null;
}

/** Who may come in. Takes its time on purpose; never throws for a wrong password. */
export interface ImapLogin {
  verify(credentials: Credentials): Promise<{ kind: 'granted'; account: AccountSession } | Refused>;
  /** left out where only passwords are known */
  readonly scram?: ImapScram;
}

/** SCRAM for app passwords. @source RFC 5802 */
export interface ImapScram {
  /** whether it is announced */
  offered(): boolean;
  parameters(user: string): Promise<({ kind: 'parameters' } & ScramParameters) | Refused>;
  prove(
    proof: SaslProof & Pick<Credentials, 'connection' | 'end'>,
  ): Promise<{ kind: 'granted'; account: AccountSession; serverSignature: Uint8Array } | Refused>;
}

/** The special uses that every account has. @source RFC 6154 §2 */
export type MailboxRole = 'Archive' | 'Drafts' | 'Junk' | 'Sent' | 'Trash' | 'Flagged' | 'All';

export const mailboxRoles: readonly MailboxRole[] = [
  'All',
  'Archive',
  'Drafts',
  'Flagged',
  'Junk',
  'Sent',
  'Trash',
];

export interface MailboxInfo {
  /** NFC, levels separated by `/`; `INBOX` in capitals */
  readonly name: string;
  /** false for a name that only holds others, or that is only subscribed to */
  readonly selectable: boolean;
  /** false for a name that is only subscribed to */
  readonly exists: boolean;
  readonly subscribed: boolean;
  readonly role: MailboxRole | null;
}

/** What STATUS tells. @source RFC 9051 §6.3.11, RFC 3501 §6.3.10 */
export interface MailboxStatus {
  readonly kind: 'done';
  readonly messages: number;
  readonly recent: number;
  readonly unseen: number;
  readonly deleted: number;
  /** octets of all messages together */
  readonly sizeBytes: number;
  readonly uidNext: number;
  readonly uidValidity: number;
  readonly highestModSeq: number;
  readonly mailboxId: string;
}

/** One logged-in session's way to its account. Names are NFC with `/`; `INBOX` comes folded. Several calls never run at once. */
export interface AccountSession {
  readonly accountId: string;
  /** every name that exists or is subscribed to */
  list(): Promise<readonly MailboxInfo[]>;
  /** makes the levels above it too; refuses a use that another mailbox has (`USEATTR`) */
  create(name: string, role: MailboxRole | null): Promise<{ kind: 'done'; mailboxId: string } | Refused>;
  delete(name: string): Promise<Done | Refused>;
  /** moves what lies below it too; of INBOX the mail only */
  rename(from: string, to: string): Promise<Done | Refused>;
  subscribe(name: string, subscribed: boolean): Promise<Done | Refused>;
  status(name: string): Promise<MailboxStatus | Refused>;
  select(name: string, readOnly: boolean): Promise<{ kind: 'selected'; mailbox: SelectedMailbox } | Refused>;
  /** refuses a missing mailbox (`TRYCREATE`) */
  append(name: string): Promise<{ kind: 'ready'; sink: AppendSink } | Refused>;
  close(): void;
}

export interface AppendedMessage {
  readonly flags: readonly string[];
  /** null: now */
  readonly internalDateMs: number | null;
  readonly sizeBytes: number;
  /** came as a literal8, so that NUL is allowed */
  readonly binary: boolean;
}

/** Takes messages one after the other, each message's octets as they come. After a refusal nothing is stored. */
export interface AppendSink {
  /** the one before is complete; asked before the octets are: refuses a size (`TOOBIG`), a number (`LIMIT`) or a quota */
  begin(message: AppendedMessage): Promise<Done | Refused>;
  /** a promise: wait for it before the next; `octets` are the sink's only until it is fulfilled */
  write(octets: Uint8Array): void | Promise<void>;
  /** resolves when all messages are durable, or none is */
  commit(): Promise<{ kind: 'done'; uidValidity: number; uids: readonly number[] } | Refused>;
  /** the client went away, or sent what is refused: nothing is stored */
  abort(): void;
}

/** What FETCH sends of a message besides its octets: as it goes over the wire, one octet a character. */
export interface MessageTexts {
  readonly envelope: string;
  readonly body: string;
  readonly bodyStructure: string;
}

export interface FoundBody {
  readonly kind: 'found';
  /** of the whole that the client gets; its `size` is RFC822.SIZE */
  readonly structure: MessageStructure;
  /** verified octets; throws when they turn out to be damaged, before they are handed out */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /** the same at once, where nothing has to be waited for; null: use `read` */
  readAtHand?(start: number, end: number): readonly Uint8Array[] | null;
  close(): void;
}

export type OpenedBody = FoundBody | { readonly kind: 'damaged' } | { readonly kind: 'gone' };

export type FlagOperation = 'add' | 'remove' | 'replace';

/** One session's hold on a mailbox. Uids come ascending. What is done is in `state` by the time a promise is fulfilled. */
export interface SelectedMailbox {
  readonly mailboxId: string;
  /** shared by all sessions of the process; holds only what is durable */
  readonly state: MailboxState;
  /** moves the mark of `\Recent` to before `uidNext` and says from which uid on mail is recent here; read-only: only says it */
  claimRecent(uidNext: number, readOnly: boolean): number | Promise<number>;
  /** one for each uid, null for a message that is gone */
  texts(uids: readonly number[]): Promise<readonly (MessageTexts | 'damaged' | null)[]>;
  openBody(uid: number): Promise<OpenedBody>;
  /** one after the other, one for each uid; each is closed before the next is asked for */
  openBodies(uids: readonly number[]): AsyncIterable<OpenedBody>;
  /**
   * uids that are gone are left out; `origin` comes back in the change that `state` tells.
   *
   * @param unchangedSince messages with a higher MODSEQ stay as they are and are named in `modified`, ascending
   */
  store(
    uids: readonly number[],
    operation: FlagOperation,
    flags: readonly string[],
    origin: object | null,
    unchangedSince?: number,
  ): Promise<{ kind: 'done'; modified: readonly number[] } | Refused>;
  /** uids that went after a MODSEQ, ascending */
  vanishedSince(modSeq: number): readonly number[];
  /** EMAILID and THREADID, one for each uid, null for a message that is gone or damaged */
  objectIds(
    uids: readonly number[],
  ): Promise<readonly ({ readonly emailId: string; readonly threadId: string } | null)[]>;
  /** the first words of each, null for a message that is gone or damaged */
  previews(uids: readonly number[]): Promise<readonly (string | null)[]>;
  /** removes those that still have `\Deleted` */
  expunge(uids: readonly number[]): Promise<Done | Refused>;
  /** all or none; with `move` they leave this mailbox in the same group */
  copy(
    uids: readonly number[],
    target: string,
    move: boolean,
  ): Promise<
    | {
        kind: 'done';
        uidValidity: number;
        sourceUids: readonly number[];
        targetUids: readonly number[];
      }
    | Refused
  >;
  close(): void;
}
