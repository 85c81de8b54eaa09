import assert from 'node:assert/strict';
import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import type { Io, IoFile } from '#store/durable';

/**
 * Messages that kill what parses them.
 *
 * On the ordinary path a message is parsed as it arrives and nothing is written down. Once a process has died, its successor is careful
 * for a while: the octets of a message go into `poison/`, are parsed when they are complete, one message at a time, and the file's name
 * says which one it is. What is found there at the next start was being parsed when the process died: after the first time the message is
 * remembered, after the second it is set aside and refused (docs/decisions/0008).
 */
export interface Poison {
  /** whether messages have to pass through `open` */
  readonly isCareful: boolean;
  /** The parser failed in this process: careful from now on. */
  beCareful(): void;
  /** A message begins. */
  open(): Promise<SuspectFile>;
}

/** One message on its way to the parser. Calls come one after the other. */
export interface SuspectFile {
  write(octets: Uint8Array): Promise<void>;
  /**
   * The octets are complete. Waits for its turn, gives them to `parse` in pieces and forgets them, unless the message is set aside.
   *
   * @param parse and `end` throw when the parser fails; the process may also die in them
   */
  parse(
    sha256Hex: string,
    parse: (octets: Uint8Array) => void,
    end: () => void,
  ): Promise<'parsed' | 'failed' | 'set-aside'>;
  /** The message will not be completed. */
  discard(): Promise<void>;
}

export interface PoisonOptions {
  io: Io;
  /** of this role alone: `DATA/poison`, or one in it */
  folder: string;
  logger: Logger;
  /** a process of this role died lately */
  afterDeath: boolean;
}

/** messages that are kept, and messages that are remembered: beyond that the name alone is kept */
const keptMax = 100;
/** senders give up after five days (RFC 5321 §4.5.4.1) */
const memoryMs = 7 * 24 * 3_600_000;
const pieceBytes = 64 * 1024;

/** Takes in what the process before left in the folder, and says whether to be careful. */
export const openPoison = async (options: PoisonOptions): Promise<Poison> => {
  const { io, logger, folder } = options;
  const at = (name: string): string => `${folder}/${name}`;
  const seenOnce = new Set<string>();
  const setAside = new Set<string>();
  let isCareful = options.afterDeath;

  /** A process died, or the parser threw, while this message was parsed. */
  const failed = async (from: string, sha256Hex: string): Promise<void> => {
    const isSecond = seenOnce.has(sha256Hex);
    const kept = isSecond ? setAside : seenOnce;
    const to = at(`${sha256Hex}.${isSecond ? 'eml' : 'once'}`);
    if (kept.size >= keptMax) await emptyFile(from);
    await io.rename(from, to);
    kept.add(sha256Hex);
    if (!isSecond) {
      logger.warn('message stopped the parser', { sha256: sha256Hex });
      return;
    }
    seenOnce.delete(sha256Hex);
    await io.remove(at(`${sha256Hex}.once`)).catch(ifThere);
    logger.error('message set aside, it stopped the parser twice', { sha256: sha256Hex, file: to });
  };
  const emptyFile = async (path: string): Promise<void> => {
    const file = await io.open(path, 'write');
    await file.truncate(0);
    await file.close();
  };

  for (const name of await io.readFolder(folder)) {
    const [, sha256Hex = '', state = ''] = /^([0-9a-f]{64})\.(once|eml)$/.exec(name) ?? [];
    if (state === '') continue;
    const birthMs = (await io.stat(at(name)))?.birthMs ?? 0;
    const isOld = birthMs > 0 && io.clock.nowMs() - birthMs > memoryMs;
    if (state === 'once' && isOld) {
      await io.remove(at(name)).catch(ifThere);
      continue;
    }
    (state === 'once' ? seenOnce : setAside).add(sha256Hex);
    // As long as its sender may try again it has to be known before it is parsed.
    if (!isOld) isCareful = true;
  }
  for (const name of await io.readFolder(folder)) {
    const parsing = /^([0-9a-f]{64})\.parsing$/.exec(name)?.[1];
    if (parsing !== undefined) {
      isCareful = true;
      await failed(at(name), parsing);
    } else if (/^[0-9a-f]{32}\.open$/.test(name)) await io.remove(at(name)).catch(ifThere);
  }
  if (isCareful) logger.info('messages are parsed one at a time for now', { kept: setAside.size });

  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other, so that a process that dies leaves one name and not several. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  };

  const open = async (): Promise<SuspectFile> => {
    const opened = at(`${hex(io.random(16))}.open`);
    const file: IoFile = await io.open(opened, 'create-new');
    let sizeBytes = 0;
    let isOver = false;
    const discard = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await file.close().catch(() => {});
      await io.remove(opened).catch(ifThere);
    };
    return {
      write: async (octets) => {
        if (isOver) return;
        await file.write([octets], sizeBytes);
        sizeBytes += octets.length;
      },
      discard,
      parse: (sha256Hex, parse, end) =>
        inTurn(async () => {
          assert(/^[0-9a-f]{64}$/.test(sha256Hex), 'a SHA-256');
          if (setAside.has(sha256Hex)) {
            await discard();
            return 'set-aside';
          }
          const parsing = at(`${sha256Hex}.parsing`);
          await io.rename(opened, parsing);
          isOver = true;
          try {
            for (let read = 0; read < sizeBytes; ) {
              const piece = new Uint8Array(Math.min(pieceBytes, sizeBytes - read));
              read += await file.read(piece, read);
              parse(piece);
            }
            end();
          } catch (error) {
            await file.close().catch(() => {});
            // What the disk did is not the message's doing.
            if (error instanceof FengniError) {
              await io.remove(parsing).catch(ifThere);
              throw error;
            }
            logger.error('parser failed', {
              error: error instanceof Error ? (error.stack ?? error.message) : '',
            });
            await failed(parsing, sha256Hex);
            return setAside.has(sha256Hex) ? 'set-aside' : 'failed';
          }
          await file.close();
          await io.remove(parsing).catch(ifThere);
          return 'parsed';
        }),
    };
  };

  return {
    get isCareful() {
      return isCareful;
    },
    beCareful: () => {
      isCareful = true;
    },
    open,
  };
};

const ifThere = (error: unknown): void => {
  if (!(error instanceof FengniError) || error.code !== 'file-not-found') throw error;
};
