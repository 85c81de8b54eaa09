import { equalBytes } from '#base/bytes';
import { FengniError, isDamage } from '#base/errors';
import { openBodyReaders, type ReadAhead } from '#store/bodies';
import type { Io } from '#store/durable';
import type { EmailRow, KeyRef, MailIndex } from '#store/index';

/** One account's copy of a message, open for reading: `prefix ‖ original`. */
export interface StoredMessage {
  kind: 'found';
  /** of both together */
  sizeBytes: number;
  prefixBytes: number;
  /**
   * Octets `start` to before `end`, verified before they leave: up to 1 MiB all of them before the first.
   *
   * @throws {FengniError} `payload-damaged`, `frame-damaged` when later octets turn out to be damaged
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /**
   * As `read`, verified as a whole, where the octets are in memory and only have to be opened; else null.
   *
   * @throws {FengniError} `payload-damaged`
   */
  readAtHand(start: number, end: number): readonly Uint8Array[] | null;
}

export type { ReadAhead };

export interface AccessGate {
  /**
   * Opens a copy for the account that it belongs to.
   *
   * @returns `damaged` with the reason, which is recorded and never served; `gone` when it was erased meanwhile
   */
  openAsOwner(
    account: string,
    email: EmailRow,
    ahead?: ReadAhead,
  ): Promise<StoredMessage | { kind: 'damaged'; error: FengniError } | { kind: 'gone' }>;
  /** Reads what the next calls of `openAsOwner` will need, up to 512 KiB: messages that came together are read together. */
  readAhead(emails: readonly EmailRow[]): Promise<ReadAhead>;
  /** keys that were destroyed, or null for any of them, are in memory no longer */
  forget(keys: readonly KeyRef[] | null): void;
  close(): Promise<void>;
}

/** @param damaged told of every message that failed its verification */
export const openAccessGate = (options: {
  io: Io;
  folder: string;
  shard: number;
  damaged(error: FengniError, email: EmailRow): void;
  /** tells whether an erasure is why a key is gone: then its row goes too, a moment later */
  index?: Pick<MailIndex, 'emails'>;
}): AccessGate => {
  const bodies = openBodyReaders(options);
  return {
    openAsOwner: async (account, email, ahead) => {
      if (email.account !== account) {
        throw new FengniError('not-the-owner', {
          subject: `copy ${email.emailId}`,
          remedy: 'report this as a bug: only the owner opens a message here',
        });
      }
      try {
        const body = await bodies.message(email.message, ahead);
        // The index has the prefix at hand; the copy's own frame says what it really is.
        const prefix = await bodies.prefix(email, ahead);
        if (!equalBytes(prefix, email.prefix)) {
          throw new FengniError('index-row-damaged', {
            subject: `the trace fields of copy ${email.emailId}`,
            remedy: 'run "fengni index rebuild"; nothing is lost, the log has everything',
          });
        }
        /** Octets are verified as they are read: this too is damage that nobody is served. */
        const tell = (error: unknown): unknown => {
          if (isDamage(error)) options.damaged(error, email);
          return error;
        };
        return {
          kind: 'found',
          sizeBytes: prefix.length + body.sizeBytes,
          prefixBytes: prefix.length,
          read: (start, end) => prefixed(prefix, body.read, start, end, tell),
          readAtHand: (start, end) => {
            // The prefix leaves only when what follows is verified.
            let pieces: readonly Uint8Array[] | null;
            try {
              pieces = body.readAtHand(Math.max(0, start - prefix.length), end - prefix.length);
            } catch (error) {
              throw tell(error);
            }
            if (pieces === null || start >= prefix.length) return pieces;
            return [prefix.subarray(start, Math.min(end, prefix.length)), ...pieces];
          },
        };
      } catch (error) {
        if (!(error instanceof FengniError)) throw error;
        const fault = error.code === 'message-erased' ? await unexplained(email, options.index) : error;
        if (fault === null) return { kind: 'gone' };
        options.damaged(fault, email);
        return { kind: 'damaged', error: fault };
      }
    },
    readAhead: (emails) => bodies.readAhead(emails.flatMap(({ at, message }) => [message.at, at])),
    forget: bodies.forget,
    close: () => bodies.close(),
  };
};

/** how long the row of an erased message may stay behind its key */
const rowStaysMs = 2_000;

/** A key that is destroyed while its row stays was not taken by an erasure: that is damage. */
const unexplained = async (
  email: EmailRow,
  index: Pick<MailIndex, 'emails'> | undefined,
): Promise<FengniError | null> => {
  if (index === undefined) return null;
  for (let waited = 0; waited < rowStaysMs; waited += 100) {
    if (index.emails([email.emailSeq]).length === 0) return null;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return new FengniError('key-missing', {
    subject: `message ${email.message.id}: its key is destroyed, and nothing erased it`,
    remedy: 'run "fengni verify"; put the key file back from a copy',
    exitStatus: 1,
  });
};

async function* prefixed(
  prefix: Uint8Array,
  read: (start: number, end: number) => AsyncIterable<Uint8Array>,
  start: number,
  end: number,
  tell: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  const next = async (of: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> => {
    try {
      return await of.next();
    } catch (error) {
      throw tell(error);
    }
  };
  const bodyStart = Math.max(0, start - prefix.length);
  const bodyEnd = end - prefix.length;
  const body = bodyEnd > bodyStart ? read(bodyStart, bodyEnd)[Symbol.asyncIterator]() : null;
  // The prefix leaves only when the first of the original is verified: a damaged message gives no octet at all.
  const first = body === null ? null : await next(body);
  if (start < prefix.length) yield prefix.subarray(start, Math.min(end, prefix.length));
  if (body === null || first === null || first.done === true) return;
  yield first.value;
  for (;;) {
    const more = await next(body);
    if (more.done === true) return;
    yield more.value;
  }
}
