import { isDamage } from '#base/errors';
import { createMessageScanner, decodeStructure, type MessageStructure, withPrefix } from '#message';
import type {
  Done,
  FlagOperation,
  MailboxState,
  MessageTexts,
  OpenedBody,
  Refused,
  SelectedMailbox,
} from '#protocols/imap';
import type { ReadAhead, StoredMessage } from '#services/access';
import { type EmailRow, formatUidSet, idOf, type MessageTextsRow, parseUidSet } from '#store/index';
import type { MailboxesContext } from './context.ts';
import type { SharedMailbox } from './shared-mailboxes.ts';

/** octets at a message's start that are read once for all sections of one FETCH: fields of a header are many small ranges */
const startBytesMax = 256 * 1024;
/** messages whose rows are read at once, and octets of frames that are read ahead of a slow client */
const rowsAhead = 64;
const bytesAhead = 256 * 1024;
/** uids of messages that are gone, read with one query */
const vanishedPage = 4_096;

/** One session's hold on a mailbox. */
export class OpenMailbox implements SelectedMailbox {
  readonly #context: MailboxesContext;
  readonly #shared: SharedMailbox;
  #closed = false;

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

  /** One session asks for all that were told of the same message: to the others it is recent no more. */
  async #markRecent(below: number): Promise<number> {
    const shared = this.#shared;
    while (shared.recentAsked !== null) {
      await shared.recentAsked;
      if (shared.recentBelow >= below) return shared.recentBelow;
    }
    const asked = this.#context.writer.markRecent({ account: shared.account, mailbox: shared.id, below });
    shared.recentAsked = asked;
    try {
      const outcome = await asked;
      // a mailbox that is gone has nothing recent
      if (outcome.kind === 'refused') return below;
      shared.recentBelow = Math.max(shared.recentBelow, below);
      return outcome.recentFrom;
    } finally {
      shared.recentAsked = null;
    }
  }

  async texts(uids: readonly number[]): Promise<readonly (MessageTexts | 'damaged' | null)[]> {
    const { texts } = this.#context;
    const keys = uids.map((uid) => this.state.keyOf(uid));
    const found = new Map<number, MessageTexts | 'damaged'>();
    const missing: number[] = [];
    for (const key of keys) {
      if (key === null || found.has(key)) continue;
      const known = texts.get(key);
      if (known === null) missing.push(key);
      else found.set(key, known);
    }
    const wanted = [...new Set(missing)];
    for (const [seq, row] of this.#texts(wanted, (seq) => found.set(seq, 'damaged'))) {
      found.set(seq, texts.add(seq, row));
    }
    return keys.map((key) => (key === null ? null : (found.get(key) ?? null)));
  }

  /** What emails show in a listing; where a row cannot be read, the others are found all the same. */
  #texts(seqs: readonly number[], damaged: (emailSeq: number) => void): ReadonlyMap<number, MessageTextsRow> {
    const { index, logger } = this.#context;
    try {
      return index.texts(seqs);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    const texts = new Map<number, MessageTextsRow>();
    for (const seq of seqs) {
      try {
        for (const [known, row] of index.texts([seq])) texts.set(known, row);
      } catch (error) {
        if (!isDamage(error)) throw error;
        logger.error('message cannot be read', { code: error.code, subject: error.subject });
        damaged(seq);
      }
    }
    return texts;
  }

  vanishedSince(modSeq: number): readonly number[] {
    const { index } = this.#context;
    const uids: number[] = [];
    for (let after = { modSeq, uid: 0xffff_ffff }; ; ) {
      const page = index.changedUids(this.#shared.id, 'tombstone', after.modSeq, after.uid, vanishedPage);
      for (const { uid } of page) uids.push(uid);
      const last = page.at(-1);
      if (last === undefined || page.length < vanishedPage) return uids.sort((a, b) => a - b);
      after = last;
    }
  }

  async objectIds(
    uids: readonly number[],
  ): Promise<readonly ({ emailId: string; threadId: string } | null)[]> {
    const keys = uids.map((uid) => this.state.keyOf(uid));
    const threads = this.#threads([...new Set(keys.flatMap((key) => key ?? []))]);
    return keys.map((key) => {
      const threadId = key === null ? undefined : threads.get(key);
      return key === null || threadId === undefined ? null : { emailId: idOf('e', key), threadId };
    });
  }

  /** Without those whose row cannot be read. */
  #threads(seqs: readonly number[]): ReadonlyMap<number, string> {
    const { index, logger } = this.#context;
    try {
      return index.threadIds(seqs);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    const threads = new Map<number, string>();
    for (const seq of seqs) {
      try {
        for (const [known, thread] of index.threadIds([seq])) threads.set(known, thread);
      } catch (error) {
        if (!isDamage(error)) throw error;
        logger.error('message cannot be read', { code: error.code, subject: error.subject });
      }
    }
    return threads;
  }

  async previews(uids: readonly number[]): Promise<readonly (string | null)[]> {
    const keys = uids.map((uid) => this.state.keyOf(uid));
    const found = new Map<number, string>();
    const wanted = [...new Set(keys.flatMap((key) => key ?? []))];
    for (const [seq, { preview }] of this.#texts(wanted, () => {})) found.set(seq, preview);
    return keys.map((key) => (key === null ? null : (found.get(key) ?? null)));
  }

  async openBody(uid: number): Promise<OpenedBody> {
    const { index, logger } = this.#context;
    const key = this.state.keyOf(uid);
    if (key === null) return { kind: 'gone' };
    let email: EmailRow | undefined;
    try {
      [email] = index.emails([key]);
    } catch (error) {
      // one message's row; the others of the command are shown
      if (!isDamage(error)) throw error;
      logger.error('message cannot be read', { code: error.code, subject: error.subject });
      return { kind: 'damaged' };
    }
    return this.#open(uid, email);
  }

  async *openBodies(uids: readonly number[]): AsyncGenerator<OpenedBody> {
    for (let at = 0; at < uids.length; at += rowsAhead) {
      const wanted = uids.slice(at, at + rowsAhead);
      const rows = wanted.length === 1 ? null : this.#rows(wanted);
      if (rows === null) {
        for (const uid of wanted) yield await this.openBody(uid);
        continue;
      }
      let ahead: ReadAhead | undefined;
      let aheadUntil = 0;
      for (const [position, uid] of wanted.entries()) {
        if (position >= aheadUntil) {
          const next = aheadOf(rows, position);
          aheadUntil = position + next.length;
          // one alone is read by its parts
          ahead =
            next.length === 1
              ? undefined
              : await this.#context.gate.readAhead(next.flatMap((row) => row ?? []));
        }
        yield await this.#open(uid, rows[position], ahead);
      }
    }
  }

  /** One row for each uid; null when one of them cannot be read, so that each is asked for by itself. */
  #rows(uids: readonly number[]): (EmailRow | undefined)[] | null {
    const keys = uids.map((uid) => this.state.keyOf(uid));
    try {
      const known = new Map<number, EmailRow>();
      for (const email of this.#context.index.emails(keys.flatMap((key) => key ?? [])))
        known.set(email.emailSeq, email);
      return keys.map((key) => (key === null ? undefined : known.get(key)));
    } catch (error) {
      if (!isDamage(error)) throw error;
      return null;
    }
  }

  async #open(uid: number, email: EmailRow | undefined, ahead?: ReadAhead): Promise<OpenedBody> {
    if (email === undefined || this.state.keyOf(uid) === null) return { kind: 'gone' };
    const opened = await this.#context.gate.openAsOwner(this.#shared.account, email, ahead);
    if (opened.kind !== 'found') return { kind: opened.kind };
    const structure = await structureOf(email, opened);
    // the index says one size, the octets another: whichever is wrong, this is not the message
    if (structure === null || structure.size !== opened.sizeBytes) return { kind: 'damaged' };
    const start = new MessageStart(opened);
    return {
      kind: 'found',
      structure,
      read: (from, to) => start.read(from, to),
      readAtHand: (from, to) => start.readAtHand(from, to),
      close: () => {},
    };
  }

  async store(
    uids: readonly number[],
    operation: FlagOperation,
    flags: readonly string[],
    origin: object | null,
    unchangedSince?: number,
  ): Promise<{ kind: 'done'; modified: readonly number[] } | Refused> {
    const { shared, writer } = this.#context;
    const own = origin === null ? null : { origin, operation, flags };
    const name = own === null ? '' : shared.registerOrigin(own);
    try {
      const outcome = await writer.changeFlags({
        ...this.#where,
        uids: formatUidSet(uids),
        mode: operation,
        flags,
        origin: name,
        ...(unchangedSince === undefined ? {} : { unchangedSince }),
      });
      if (outcome.kind === 'refused') return outcome;
      // a change of the same group may have made it unnecessary, unheard here
      if (outcome.uids !== '' || outcome.modSeq > this.#shared.modSeq) {
        const later = this.#shared.followChange(outcome.modSeq, outcome.uids === '' ? null : own);
        // what is told of these messages next has this change in it
        if (later.size > 0 && uids.some((uid) => later.has(uid))) {
          this.#shared.follow(Number.POSITIVE_INFINITY, null);
        }
      }
      return { kind: 'done', modified: uidsOf(outcome.modified ?? '') };
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

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.shared.release(this.#shared);
  }

  get #where(): { account: string; mailbox: string } {
    return { account: this.#shared.account, mailbox: this.#shared.id };
  }
}

const uidsOf = (set: string): number[] =>
  (parseUidSet(set) ?? []).flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_none, at) => first + at),
  );

/** The rows from a position on whose frames are read with few calls; at least one. */
const aheadOf = (
  rows: readonly (EmailRow | undefined)[],
  from: number,
): readonly (EmailRow | undefined)[] => {
  let bytes = 0;
  let end = from;
  while (end < rows.length) {
    const row = rows[end];
    bytes += (row?.at.lengthBytes ?? 0) + (row?.message.at.lengthBytes ?? 0);
    if (bytes > bytesAhead && end > from) break;
    end++;
  }
  return rows.slice(from, end);
};

/** Of prefix and original together; null when the octets cannot be read. */
const structureOf = async (email: EmailRow, opened: StoredMessage): Promise<MessageStructure | null> => {
  const stored = decodeStructure(email.structure);
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
  #pieces: readonly Uint8Array[] | null = null;

  constructor(message: StoredMessage) {
    this.#message = message;
  }

  readAtHand(start: number, end: number): readonly Uint8Array[] | null {
    const keptBytes = Math.min(this.#message.sizeBytes, startBytesMax);
    if (end > keptBytes) return this.#message.readAtHand(start, end);
    this.#pieces ??= this.#message.readAtHand(0, keptBytes);
    return this.#pieces === null ? null : part(this.#pieces, start, end);
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
    yield* part(this.#pieces, start, end);
  }
}

/** Octets `start` to before `end` of pieces that follow each other. */
const part = (pieces: readonly Uint8Array[], start: number, end: number): Uint8Array[] => {
  const found: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, piece.length);
    if (from < to) found.push(from === 0 && to === piece.length ? piece : piece.subarray(from, to));
    at += piece.length;
  }
  return found;
};
