import path from 'node:path';
import { utf8 } from '#base/bytes';
import { silentLogger } from '#base/logger';
import { createMessageParser, createMessageSealer, type SealedMessage } from '#services/mailstore';
import { Sealer } from '#services/sealer';
import {
  addAccount,
  addAlias,
  addDomain,
  openWriter,
  type Writer,
  type WriterOptions,
} from '#services/writer';
import { type Io, makeFolderDurable } from '#store/durable';
import { openSpool } from '#store/large';
import type { LogRefusal } from '#store/log';
import { createMemoryDirectory, createMemoryIndex } from '#store/memory';
import { buildRecipientsTree } from '#trust/seal';

export const dataFolder = '/data';

/** A writer and its sealer in one process on any `Io`, with projections in memory: what a machine is between two power cuts. */
export const startMachine = async (
  io: Io,
  more: Partial<WriterOptions> = {},
): Promise<{ writer: Writer | LogRefusal; failed: Promise<unknown>; timers: (() => void)[] }> => {
  await makeFolderDurable(io, dataFolder);
  await makeFolderDurable(io, `${dataFolder}/sealer`);
  await makeFolderDurable(io, `${dataFolder}/ledger`);
  const sealer = await Sealer.open({
    io,
    folder: `${dataFolder}/sealer`,
    ledgerFolder: (generation) => path.join(dataFolder, 'ledger', `g${generation}`),
  });
  const head = await sealer.head();
  const failed = Promise.withResolvers<unknown>();
  const timers: (() => void)[] = [];
  const writer = await openWriter({
    io,
    folder: dataFolder,
    shard: 0,
    hostname: 'mail.fengni.test',
    projections: () => ({ index: createMemoryIndex(), directory: createMemoryDirectory() }),
    parse: async (octets) => {
      const parser = createMessageParser();
      for await (const piece of octets) parser.write(piece);
      return parser.end();
    },
    sealer: {
      advance: async (request) => {
        const outcome = await sealer.advance(request);
        return outcome.kind === 'signed'
          ? { kind: 'signed', note: outcome.head.note }
          : { kind: 'refused', reason: `${outcome.reason}: ${outcome.detail}` };
      },
    },
    knownHeads:
      head.kind === 'signed'
        ? [
            {
              source: 'the sealer',
              generation: head.head.generation,
              size: head.head.size,
              root: head.head.root,
            },
          ]
        : [],
    logger: silentLogger,
    // The test says when time passes: heads are made at its word.
    schedule: (work) => {
      timers.push(work);
      return () => void timers.splice(timers.indexOf(work), 1);
    },
    failed: failed.resolve,
    ...more,
  });
  if (writer.kind === 'writer') {
    const { generation, origin } = await writer.status();
    await sealer.create({ generation, origin });
  }
  return { writer, failed: failed.promise, timers };
};

export const addPeople = async (writer: Writer, names: readonly string[]): Promise<void> => {
  await writer.queue.submit(addDomain('fengni.test'));
  for (const name of names) await writer.queue.submit(addAccount(`${name}@fengni.test`));
  await writer.queue.submit(
    addAlias(
      'all@fengni.test',
      names.map((name) => `${name}@fengni.test`),
    ),
  );
};

/** here already a body lies in a file of its own, so that histories of a few kilobytes have them */
export const largeAboveBytes = 2_000;

/** A message as the receiving role hands it over. */
export const seal = async (
  io: Io,
  octets: Uint8Array,
  recipients: readonly { account: string; address: string }[],
  folder = dataFolder,
  aboveBytes = largeAboveBytes,
): Promise<{ message: SealedMessage; copies: Parameters<Writer['deliver']>[1] }> => {
  const spool = openSpool({ io, folder, owner: 'mx' });
  const sealer = createMessageSealer(io.random, { spool, aboveBytes });
  const parser = createMessageParser();
  for (let at = 0; at < octets.length; at += 1_000) {
    const piece = octets.subarray(at, at + 1_000);
    await sealer.write(piece);
    parser.write(piece);
  }
  await sealer.complete();
  const salted = recipients.map(({ address }) => ({ address, salt: io.random(32) }));
  const tree = await buildRecipientsTree(salted, io.random);
  const prefix = utf8('Received: from test\r\nFengni-Seal: x\r\n');
  const message = sealer.seal({
    kind: 'received',
    evidence: { env: utf8('from <>\n'), ses: utf8('protocol SMTP\n'), aut: utf8('results x; none\n') },
    prefix,
    rcp: tree.root,
    parsed: parser.end(),
  });
  const copies = recipients.map(({ account, address }, at) => {
    const place = tree.places[at];
    const salt = salted[at]?.salt;
    if (place === undefined || salt === undefined) throw new Error('every recipient has its place');
    return { account, address, prefix, proof: { ...place, salt } };
  });
  return { message, copies };
};
