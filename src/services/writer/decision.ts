import type { MailstoreChange, MailstoreOutcome } from '#services/mailstore';
import type { Directory, MailIndex } from '#store/index';
import type { Addresses } from './addresses.ts';
import type { GroupDraft } from './group-draft.ts';
import type { WorkingState } from './working-state.ts';

/** What a decision reads and writes; it neither waits nor fails after its first frame. */
export interface DecisionContext {
  draft: GroupDraft;
  state: WorkingState;
  index: MailIndex;
  directory: Directory;
  addresses: Addresses;
  nowMs: number;
  /** tells sessions once the group is durable and applied */
  notify(change: MailstoreChange): void;
}

/** One thing that somebody asked for, until it is durable. */
export interface Decision<T> {
  /** accounts whose counters it needs */
  accounts: readonly string[];
  /**
   * `counters`: touches only what `WorkingState` holds, and can share a group with anything. `rows`: reads names, placements or rows,
   * and waits when this group has already touched one of its accounts. `flags`: reads rows and knows what this group changed of their
   * flags, so that it waits for other changes alone.
   */
  reads: 'counters' | 'flags' | 'rows';
  /** reads and writes who is here, beside its accounts: two such decisions do not share a group */
  structural?: boolean;
  /** octets that it will write, for the size of a group */
  bytes: number;
  decide(context: DecisionContext): MailstoreOutcome<T>;
}

export const refused = (
  code: string | null,
  text: string,
): { kind: 'refused'; code: string | null; text: string } => ({
  kind: 'refused',
  code,
  text,
});

/** The refusal for a mailbox that is not there, or not this account's. @source RFC 5530 §3 */
export const noSuchMailbox = refused('NONEXISTENT', 'No such mailbox');
