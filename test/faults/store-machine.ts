import assert from 'node:assert/strict';
import path from 'node:path';
import { projectionsIn, publishKeys } from '#app/control';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type Logger, silentLogger } from '#base/logger';
import { repairFormat, type VerifyOptions, type VerifyReport, verifyData } from '#services/integrity';
import { createMessageParser } from '#services/mailstore';
import { markOf, parseState, Sealer, sameFolder } from '#services/sealer';
import { eventOf, openWriter, type Writer, type WriterOptions } from '#services/writer';
import { type Io, type IoFile, makeFolderDurable, nodeIo } from '#store/durable';
import { takeLock } from '#store/lock';
import type { KnownHead, LogRefusal } from '#store/log';
import { createMemoryDirectory } from '#store/memory';
import { openFreshProjections, openProjectionSnapshot } from '#store/sqlite';

export interface StoreMachine {
  kind: 'store';
  writer: Writer;
  /** fulfilled when the store gives up, with the reason */
  failed: Promise<unknown>;
  stop(): Promise<void>;
}

/**
 * A writer with projections in SQLite and its sealer in the same process, in a folder of its own: the store alone, as `fengni serve`
 * puts it together, without sockets and roles.
 *
 * @returns the refusal where the log does not open
 */
export const openStore = async (options: {
  io: Io;
  folder: string;
  /** a head that somebody kept outside */
  kept?: KnownHead | null;
  logger?: Logger;
  /** told why the sealer's folder cannot be used, and the store opens without one, as a server does; otherwise it is thrown */
  sealerFault?: (error: FengniError) => void;
  /** heads are made when `settleHeads` is called, and otherwise only where this is said */
  heads?: boolean;
  writer?: Partial<WriterOptions>;
}): Promise<StoreMachine | LogRefusal> => {
  const { io, folder } = options;
  process.umask(0o077);
  for (const name of ['', 'sealer', 'ledger']) await makeFolderDurable(io, path.join(folder, name));
  if ((await io.stat(path.join(folder, 'FORMAT'))) === null)
    await repairFormat(io, folder, { done: [], refused: [] });
  const lock = takeLock(path.join(folder, 'lock'));
  assert.equal(lock.kind, 'taken', `${folder} is in use`);
  const release = (): void => {
    if (lock.kind === 'taken') lock.lock.release();
  };
  const sealer = await openSealer(io, folder, options.sealerFault ?? null);
  const known: KnownHead[] = options.kept === undefined || options.kept === null ? [] : [options.kept];
  const own = await sealer?.head();
  if (own?.kind === 'signed') known.push({ source: 'the sealer', ...own.head });
  const failed = Promise.withResolvers<unknown>();
  const writer = await openWriter({
    io,
    folder,
    shard: 0,
    hostname: 'mail.fengni.test',
    projections: (fresh) => projectionsIn(folder, fresh),
    parse: async (octets) => {
      const parser = createMessageParser();
      for await (const piece of octets) parser.write(piece);
      return parser.end();
    },
    sealer: {
      advance: async (request) => {
        if (sealer === null) return { kind: 'refused', reason: 'unusable' };
        const outcome = await sealer.advance(request);
        return outcome.kind === 'signed'
          ? { kind: 'signed', note: outcome.head.note }
          : { kind: 'refused', reason: `${outcome.reason}: ${outcome.detail}` };
      },
    },
    knownHeads: known,
    logger: options.logger ?? silentLogger,
    schedule: (work, ms) => {
      if (options.heads !== true) return () => {};
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    failed: failed.resolve,
    ...options.writer,
  });
  if (writer.kind === 'refused') {
    release();
    return writer;
  }
  await publishKeys(writer, folder, async (generation, origin) => {
    const outcome = await sealer?.create({ generation, origin });
    return outcome?.kind === 'signed' ? outcome.head.key : null;
  });
  const stop = async (): Promise<void> => {
    await writer.stop();
    release();
  };
  return { kind: 'store', writer, failed: failed.promise, stop };
};

const openSealer = async (
  io: Io,
  folder: string,
  fault: ((error: FengniError) => void) | null,
): Promise<Sealer | null> => {
  try {
    return await Sealer.open({
      io,
      folder: path.join(folder, 'sealer'),
      ledgerFolder: (generation) => path.join(folder, 'ledger', `g${generation}`),
    });
  } catch (error) {
    if (fault === null || !(error instanceof FengniError)) throw error;
    fault(error);
    return null;
  }
};

/** What `fengni verify` does, of a folder that no server of ours runs in. */
export const verifyStore = async (folder: string, kept: VerifyOptions['kept']): Promise<VerifyReport> => {
  const own = path.join(folder, 'sealer');
  const stat = await nodeIo.stat(own);
  const hasState = stat !== null && (await nodeIo.stat(path.join(own, 'state'))) !== null;
  const state = hasState ? parseState(await nodeIo.readFile(path.join(own, 'state'))) : null;
  const copied = state !== null && stat !== null && !sameFolder(markOf(stat), state.folder);
  verifications += 1;
  return verifyData({
    io: nodeIo,
    folder,
    shard: 0,
    live: false,
    sealer: state === null ? { kind: 'absent' } : { kind: 'state', state, copied },
    kept,
    account: null,
    decode: eventOf,
    parser: createMessageParser,
    projections: { openSnapshot: openProjectionSnapshot, openFresh: openFreshProjections },
    label: `fengni-store-${process.pid}-${verifications}`,
    directory: createMemoryDirectory,
  });
};

let verifications = 0;

/** A machine whose syncs do nothing: what the harness must find. */
export const withoutSyncs = (io: Io): Io => ({
  open: async (name, how) => {
    const file = await io.open(name, how === 'create-new-synced' ? 'create-new' : how);
    const lazy: IoFile = {
      read: (into, position) => file.read(into, position),
      write: (pieces, position) => file.write(pieces, position),
      dataSync: async () => {},
      sync: async () => {},
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
    };
    return lazy;
  },
  readFile: (name) => io.readFile(name),
  readFolder: (name) => io.readFolder(name),
  makeFolder: (name) => io.makeFolder(name),
  rename: (from, to) => io.rename(from, to),
  remove: (name) => io.remove(name),
  stat: (name) => io.stat(name),
  syncFolder: async () => {},
  clock: io.clock,
  random: io.random,
});

/** The message with a number, the same in every process; its subject says which it is. */
export const contentOf = (seed: number, number: number): Uint8Array => {
  const mixed = Math.imul((seed * 2_654_435_761 + number * 40_503) >>> 0, 0x21f0aaad) >>> 0;
  // Some lie in files of their own (`largeAboveBytes` of the writer's machine).
  const lines = mixed % 6 === 0 ? 80 + ((mixed >>> 8) % 400) : (mixed >>> 8) % 60;
  const head = `Subject: ${seed} ${number}\r\nMessage-ID: <${number}@${seed}.example>\r\n\r\n`;
  return utf8(
    head + Array.from({ length: lines }, (_, line) => `line ${line} of ${number}, ${mixed}\r\n`).join(''),
  );
};
