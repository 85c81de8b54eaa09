import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { AppendedMessage, AppendSink, Done, Refused } from '#protocols/imap';
import {
  type AddedMessage,
  createMessageParser,
  createMessageSealer,
  type MessageParser,
  ownFileBytesMin,
  type SealedMessage,
} from '#services/mailstore';
import type { SuspectFile } from '#services/poison';
import type { ParsedMessage } from '#store/index';
import { encodeAuthentication, encodeSession } from '#trust/seal';
import type { MailboxesContext, SessionFacts } from './context.ts';

/** messages of one command */
const messagesMax = 500;
/** octets of one command that are in memory until it ends; a large message is in the spool */
const commandBytesMax = 16 * 1024 * 1024;

/**
 * Hashes, encrypts and parses messages as they come, then hands them to the writer, all in one group.
 *
 * An added message has no trace fields, no envelope and no recipients (FORMATS §4, §5): what was uploaded is what comes back.
 */
export class MessageAppend implements AppendSink {
  readonly #context: MailboxesContext;
  readonly #account: string;
  readonly #mailbox: string;
  readonly #facts: SessionFacts;
  #heldBytes = 0;
  #isOver = false;
  #refused: Refused | null = null;
  #current: Current | null = null;
  readonly #sealers: Sealer[] = [];
  readonly #suspects: SuspectFile[] = [];
  readonly #sealed: AddedMessage[] = [];

  constructor(context: MailboxesContext, account: string, mailbox: string, facts: SessionFacts) {
    this.#context = context;
    this.#account = account;
    this.#mailbox = mailbox;
    this.#facts = facts;
  }

  async begin(message: AppendedMessage): Promise<Done | Refused> {
    await this.#end();
    if (this.#refused !== null) return this.#refused;
    const { held, random, large } = this.#context;
    if (this.#context.isDiskNearlyFull?.() === true) return this.#refuse(diskNearlyFull);
    // What a large one has in memory at once is bounded: the rest is in the spool.
    const heldBytes = large === null ? message.sizeBytes : Math.min(message.sizeBytes, largeHeldBytes);
    const isFirst = this.#sealed.length === 0;
    if (this.#sealed.length === messagesMax || (!isFirst && this.#heldBytes + heldBytes > commandBytesMax)) {
      return this.#refuse({ kind: 'refused', code: 'LIMIT', text: 'That is too much for one command' });
    }
    if (!held.hold(heldBytes)) return this.#refuse(tooMuchAtOnce);
    this.#heldBytes += heldBytes;
    const sealer = createMessageSealer(random, large);
    this.#sealers.push(sealer);
    const { poison, createParser = createMessageParser } = this.#context;
    const suspect = poison?.isCareful === true ? await this.#suspect(poison.open()) : null;
    if (this.#refused !== null) return this.#refused;
    this.#current = { message, sealer, parser: createParser(), suspect };
    return { kind: 'done' };
  }

  write(octets: Uint8Array): void | Promise<void> {
    const current = this.#current;
    if (this.#isOver || this.#refused !== null || current === null) return;
    const { sealer, parser, suspect } = current;
    // A large message that began in time stops as well: what is left of the disk is for what was promised.
    if (sealer.sizeBytes > ownFileBytesMin && this.#context.isDiskNearlyFull?.() === true) {
      this.#refused = diskNearlyFull;
      return this.#discard();
    }
    const written = sealer.write(octets);
    if (suspect !== null) return this.#written(Promise.all([written, suspect.write(octets)]));
    try {
      parser.write(octets);
    } catch (error) {
      this.#parserThrew(error);
      return this.#discard();
    }
    return written === undefined ? undefined : this.#written(written);
  }

  async commit(): Promise<{ kind: 'done'; uidValidity: number; uids: readonly number[] } | Refused> {
    let isStored = false;
    try {
      await this.#end();
      if (this.#refused !== null) return this.#refused;
      const { writer, shared } = this.#context;
      const request = { account: this.#account, mailbox: this.#mailbox, origin: '' };
      const [first, ...more] = this.#sealed;
      if (first === undefined) throw new Error('no message was begun');
      const outcome =
        more.length === 0
          ? await writer.append({ ...request, ...first })
          : await writer.appendAll({ ...request, messages: this.#sealed });
      isStored = outcome.kind === 'done';
      if (outcome.kind === 'refused') {
        return outcome.code === 'NONEXISTENT' ? { ...outcome, code: 'TRYCREATE' } : outcome;
      }
      shared.loaded(this.#mailbox)?.follow(outcome.modSeq, null);
      const uids = 'uids' in outcome ? outcome.uids : [outcome.uid];
      return { kind: 'done', uidValidity: outcome.uidValidity, uids };
    } finally {
      if (isStored) this.#release();
      else await this.#discard();
    }
  }

  abort(): void {
    void this.#discard();
  }

  /** The message that was begun is complete. */
  async #end(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    if (current === null || this.#refused !== null || this.#isOver) return;
    const { message, sealer } = current;
    let parsed: ParsedMessage | null = null;
    try {
      const { sha256Hex } = await sealer.complete();
      parsed = await this.#parsed(current, sha256Hex);
    } catch (error) {
      await this.#spoolFailed(error);
    }
    if (this.#refused !== null || parsed === null) return;
    const { key, connection } = this.#facts;
    const sealed: SealedMessage = sealer.seal({
      kind: 'added',
      evidence: {
        env: utf8(''),
        ses: encodeSession({
          peer: connection.peer.address,
          port: connection.peer.port,
          protocol: 'IMAP',
          account: key,
          ...(connection.tls === null ? {} : { tls: connection.tls }),
          timeMs: this.#context.clock.nowMs(),
        }),
        aut: encodeAuthentication({ results: [], keys: [] }),
      },
      prefix: new Uint8Array(0),
      rcp: null,
      parsed,
    });
    this.#sealed.push({ message: sealed, flags: message.flags, dateMs: message.internalDateMs });
  }

  /** What parsing ends with; null when the message is refused. */
  async #parsed({ parser, suspect }: Current, sha256Hex: string): Promise<ParsedMessage | null> {
    if (suspect === null) {
      try {
        return parser.end();
      } catch (error) {
        this.#parserThrew(error);
        return null;
      }
    }
    let ended: ParsedMessage | null = null;
    const outcome = await suspect.parse(
      sha256Hex,
      (octets) => parser.write(octets),
      () => {
        ended = parser.end();
      },
    );
    if (outcome !== 'parsed') this.#refused = outcome === 'failed' ? parserFailed : isSetAside;
    return ended;
  }

  #parserThrew(error: unknown): void {
    const { logger, poison } = this.#context;
    logger.error('parser failed', { error: error instanceof Error ? (error.stack ?? error.message) : '' });
    poison?.beCareful();
    this.#refused = parserFailed;
  }

  /** A file for the octets that the parser gets only when they are complete. */
  async #suspect(opening: Promise<SuspectFile>): Promise<SuspectFile | null> {
    try {
      const suspect = await opening;
      this.#suspects.push(suspect);
      return suspect;
    } catch (error) {
      await this.#spoolFailed(error);
      return null;
    }
  }

  #written(written: Promise<unknown>): Promise<void> {
    return written.then(
      () => {},
      (error: unknown) => this.#spoolFailed(error),
    );
  }

  #refuse(refused: Refused): Refused {
    this.#refused = refused;
    return refused;
  }

  #release(): void {
    this.#context.held.release(this.#heldBytes);
    this.#heldBytes = 0;
  }

  async #discard(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#release();
    this.#sealed.length = 0;
    for (const each of [...this.#sealers, ...this.#suspects]) {
      await each.discard().catch((error: unknown) => {
        // What stays behind is removed when this process starts again.
        this.#context.logger.warn('spool file not removed', {
          code: error instanceof FengniError ? error.code : String(error),
        });
      });
    }
  }

  async #spoolFailed(error: unknown): Promise<void> {
    await this.#discard();
    if (!(error instanceof FengniError)) throw error;
    this.#context.logger.warn('spool cannot be written', { code: error.code });
    this.#refused = error.code === 'disk-full' ? diskNearlyFull : notNow;
  }
}

type Sealer = ReturnType<typeof createMessageSealer>;

/** The message that is coming. */
interface Current {
  message: AppendedMessage;
  sealer: Sealer;
  parser: MessageParser;
  /** where its octets wait for the parser, in a process that is careful */
  suspect: SuspectFile | null;
}

/** ciphertext for one write, the chunk that is being made, and what network and cipher have under way */
const largeHeldBytes = 512 * 1024;

const tooMuchAtOnce: Refused = {
  kind: 'refused',
  code: 'UNAVAILABLE',
  text: 'Too many messages are being stored, try again later',
};

const parserFailed: Refused = {
  kind: 'refused',
  code: 'SERVERBUG',
  text: 'This message could not be read here, try again later',
};

const isSetAside: Refused = {
  kind: 'refused',
  code: 'CANNOT',
  text: 'This message has stopped the server twice and is set aside; ask its postmaster',
};

const notNow: Refused = {
  kind: 'refused',
  code: 'UNAVAILABLE',
  text: 'The message could not be stored, try again later',
};

/** RFC 9208 §4 has a code for quotas only; this one says that later may be better. @source RFC 5530 §3 */
const diskNearlyFull: Refused = {
  kind: 'refused',
  code: 'UNAVAILABLE',
  text: 'The disk of the server is nearly full, try again later',
};
