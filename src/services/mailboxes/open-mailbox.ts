import { createMessageScanner, decodeStructure, type MessageStructure, withPrefix } from '#message';
import type {
  Done,
  FlagOperation,
  MailboxState,
  MessageMetadata,
  OpenedBody,
  Refused,
  SelectedMailbox,
} from '#protocols/imap';
import type { StoredMessage } from '#services/access';
import { type EmailRow, formatUidSet, type PlacementRow } from '#store/index';
import type { MailboxesContext } from './imap-login.ts';
import type { ParsedTexts } from './metadata-cache.ts';
import type { SharedMailbox } from './shared-mailboxes.ts';

/** octets at a message's start that are read once for all sections of one FETCH: fields of a header are many small ranges */
const startBytesMax = 256 * 1024;

/** One session's hold on a mailbox. */
export class OpenMailbox implements SelectedMailbox {
  readonly #context: MailboxesContext;
  readonly #shared: SharedMailbox;

  constructor(context: MailboxesContext, shared: SharedMailbox) {
    this.#context = context;
    this.#shared = shared;
  }

  get mailboxId(): string {
    return this.#shared.id;
  }

  get state(): MailboxState {
    return this.#shared.state;
  }

  claimRecent(uidNext: number, readOnly: boolean): number | Promise<number> {
    const shared = this.#shared;
    if (readOnly || shared.recentBelow >= uidNext) return shared.recentBelow;
    return this.#markRecent(uidNext);
  }

  async #markRecent(below: number): Promise<number> {
    const shared = this.#shared;
    const outcome = await this.#context.writer.markRecent({
      account: shared.account,
      mailbox: shared.id,
      below,
    });
    // a mailbox that is gone has nothing recent
    if (outcome.kind === 'refused') return below;
    shared.recentBelow = Math.max(shared.recentBelow, below);
    return outcome.recentFrom;
  }

  async metadata(uids: readonly number[], parsed: boolean): Promise<readonly (MessageMetadata | null)[]> {
    const { index, metadata } = this.#context;
    const placements = new Map<number, PlacementRow>();
    for (const placement of index.placementsByUid(this.#shared.id, uids)) {
      placements.set(placement.uid, placement);
    }
    const texts = new Map<number, ParsedTexts>();
    if (parsed) {
      const missing: number[] = [];
      for (const { emailSeq } of placements.values()) {
        const known = metadata.get(emailSeq);
        if (known === null) missing.push(emailSeq);
        else texts.set(emailSeq, known);
      }
      for (const email of index.emails([...new Set(missing)])) texts.set(email.emailSeq, metadata.add(email));
    }
    return uids.map((uid): MessageMetadata | null => {
      const placement = placements.get(uid);
      if (placement === undefined) return null;
      const found = parsed ? texts.get(placement.emailSeq) : nothingParsed;
      if (found === undefined) return null;
      return {
        sizeBytes: placement.sizeBytes,
        internalDateMs: placement.dateMs,
        envelope: found.envelope,
        body: found.body,
        bodyStructure: found.bodyStructure,
      };
    });
  }

  async openBody(uid: number): Promise<OpenedBody> {
    const { gate, index } = this.#context;
    const [placement] = index.placementsByUid(this.#shared.id, [uid]);
    if (placement === undefined) return { kind: 'gone' };
    const [email] = index.emails([placement.emailSeq]);
    if (email === undefined) return { kind: 'gone' };
    const opened = await gate.openAsOwner(this.#shared.account, email);
    if (opened.kind !== 'found') return { kind: opened.kind };
    const structure = await structureOf(email, opened);
    // the index says one size, the octets another: whichever is wrong, this is not the message
    if (structure === null || structure.size !== opened.sizeBytes) return { kind: 'damaged' };
    const start = new MessageStart(opened);
    return {
      kind: 'found',
      structure,
      read: (from, to) => start.read(from, to),
      close: () => {},
    };
  }

  async store(
    uids: readonly number[],
    operation: FlagOperation,
    flags: readonly string[],
    origin: object | null,
  ): Promise<Done | Refused> {
    const { shared, writer } = this.#context;
    const name = origin === null ? '' : shared.registerOrigin(origin);
    try {
      const outcome = await writer.changeFlags({
        ...this.#where,
        uids: formatUidSet(uids),
        mode: operation,
        flags,
        origin: name,
      });
      if (outcome.kind === 'refused') return outcome;
      if (outcome.uids !== '') this.#shared.follow(outcome.modSeq, origin);
      return { kind: 'done' };
    } finally {
      if (name !== '') shared.forgetOrigin(name);
    }
  }

  async expunge(uids: readonly number[]): Promise<Done | Refused> {
    const outcome = await this.#context.writer.expunge({
      ...this.#where,
      uids: formatUidSet(uids),
      deletedOnly: true,
      origin: '',
    });
    if (outcome.kind === 'refused') return outcome;
    if (outcome.uids !== '') this.#shared.follow(0, null);
    return { kind: 'done' };
  }

  async copy(
    uids: readonly number[],
    targetName: string,
    move: boolean,
  ): Promise<
    | { kind: 'done'; uidValidity: number; sourceUids: readonly number[]; targetUids: readonly number[] }
    | Refused
  > {
    const { index, shared, writer } = this.#context;
    const target = index.mailboxByName(this.#shared.account, targetName);
    if (target === null) return { kind: 'refused', code: 'TRYCREATE', text: 'There is no such mailbox' };
    const outcome = await writer.copy({
      ...this.#where,
      uids: formatUidSet(uids),
      target: target.id,
      move,
      origin: '',
    });
    if (outcome.kind === 'refused') return outcome;
    shared.loaded(target.id)?.follow(0, null);
    if (move) this.#shared.follow(0, null);
    return {
      kind: 'done',
      uidValidity: outcome.uidValidity,
      sourceUids: outcome.from,
      targetUids: outcome.to,
    };
  }

  close(): void {}

  get #where(): { account: string; mailbox: string } {
    return { account: this.#shared.account, mailbox: this.#shared.id };
  }
}

const nothingParsed: ParsedTexts = { envelope: '', body: '', bodyStructure: '' };

/** Of prefix and original together; null when the octets cannot be read. */
const structureOf = async (email: EmailRow, opened: StoredMessage): Promise<MessageStructure | null> => {
  const stored = decodeStructure(email.parsed.structure);
  if (stored !== null) return withPrefix(stored, email.prefix);
  // written by another version: the octets say it again
  const scanner = createMessageScanner();
  try {
    for await (const octets of opened.read(0, opened.sizeBytes)) scanner.write(octets);
  } catch {
    return null;
  }
  return scanner.end();
};

/** Keeps a message's first octets while its sections are read. */
class MessageStart {
  readonly #message: StoredMessage;
  #pieces: Uint8Array[] | null = null;

  constructor(message: StoredMessage) {
    this.#message = message;
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    const keptBytes = Math.min(this.#message.sizeBytes, startBytesMax);
    if (end > keptBytes) {
      yield* this.#message.read(start, end);
      return;
    }
    if (this.#pieces === null) {
      const pieces: Uint8Array[] = [];
      for await (const octets of this.#message.read(0, keptBytes)) pieces.push(octets);
      this.#pieces = pieces;
    }
    let at = 0;
    for (const piece of this.#pieces) {
      const from = Math.max(start - at, 0);
      const to = Math.min(end - at, piece.length);
      if (from < to) yield piece.subarray(from, to);
      at += piece.length;
    }
  }
}
