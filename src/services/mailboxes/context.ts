import type { Clock, Random } from '#base/clock';
import type { Logger } from '#base/logger';
import type { ConnectionFacts } from '#protocols/imap';
import type { AccessGate } from '#services/access';
import type { Login } from '#services/login';
import type { LargeBodies, MailstoreWriter, MessageParser } from '#services/mailstore';
import type { Poison } from '#services/poison';
import type { MailIndex } from '#store/index';
import type { HeldOctets } from './held-octets.ts';
import type { SharedMailboxes } from './shared-mailboxes.ts';
import type { TextsCache } from './texts-cache.ts';

export interface MailboxesOptions {
  login: Login;
  index: MailIndex;
  gate: AccessGate;
  writer: MailstoreWriter;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** where large messages go as they are appended; null keeps every message in memory */
  large: LargeBodies | null;
  /** whether no new message should be begun */
  isDiskNearlyFull?(): boolean;
  /** for a process that may be killed by what it parses; one that serves a test has none */
  poison?: Poison;
  /** `createMessageParser`, but for tests */
  createParser?(): MessageParser;
  /** octets of messages being appended that this process holds; beyond it an APPEND is refused for a while */
  heldBytesMax?: number;
}

/** What the sessions of a process share. */
export interface MailboxesContext extends MailboxesOptions {
  readonly shared: SharedMailboxes;
  readonly texts: TextsCache;
  readonly held: HeldOctets;
}

/** Who came, over what. */
export interface SessionFacts {
  /** the address's key */
  readonly key: string;
  readonly connection: ConnectionFacts;
}
