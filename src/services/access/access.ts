import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import { openBodyReaders } from '#store/bodies';
import type { Io } from '#store/durable';
import type { EmailRow, KeyRef } from '#store/index';

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
}

export interface AccessGate {
  /**
   * Opens a copy for the account that it belongs to.
   *
   * @returns `damaged` with the reason, which is recorded and never served; `gone` when it was erased meanwhile
   */
  openAsOwner(
    account: string,
    email: EmailRow,
  ): Promise<StoredMessage | { kind: 'damaged'; error: FengniError } | { kind: 'gone' }>;
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
}): AccessGate => {
  const bodies = openBodyReaders(options);
  return {
    openAsOwner: async (account, email) => {
      if (email.account !== account) {
        throw new FengniError('not-the-owner', {
          subject: `copy ${email.emailId}`,
          remedy: 'report this as a bug: only the owner opens a message here',
        });
      }
      try {
        const body = await bodies.message(email.message);
        // The index has the prefix at hand; the copy's own frame says what it really is.
        const prefix = await bodies.prefix(email);
        if (!equalBytes(prefix, email.prefix)) {
          throw new FengniError('index-row-damaged', {
            subject: `the trace fields of copy ${email.emailId}`,
            remedy: 'run "fengni index rebuild"; nothing is lost, the log has everything',
          });
        }
        return {
          kind: 'found',
          sizeBytes: prefix.length + body.sizeBytes,
          prefixBytes: prefix.length,
          read: (start, end) => prefixed(prefix, body.read, start, end),
        };
      } catch (error) {
        if (!(error instanceof FengniError)) throw error;
        if (error.code === 'message-erased') return { kind: 'gone' };
        options.damaged(error, email);
        return { kind: 'damaged', error };
      }
    },
    forget: bodies.forget,
    close: () => bodies.close(),
  };
};

async function* prefixed(
  prefix: Uint8Array,
  read: (start: number, end: number) => AsyncIterable<Uint8Array>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  const bodyStart = Math.max(0, start - prefix.length);
  const bodyEnd = end - prefix.length;
  const body = bodyEnd > bodyStart ? read(bodyStart, bodyEnd)[Symbol.asyncIterator]() : null;
  // The prefix leaves only when the first of the original is verified: a damaged message gives no octet at all.
  const first = body === null ? null : await body.next();
  if (start < prefix.length) yield prefix.subarray(start, Math.min(end, prefix.length));
  if (body === null || first === null || first.done === true) return;
  yield first.value;
  for (;;) {
    const next = await body.next();
    if (next.done === true) return;
    yield next.value;
  }
}
