import { utf8 } from '#base/bytes';
import { type Io, replaceFileDurable } from '#store/durable';
import type { Directory } from '#store/index';
import { checkLargeFile, copyLargeFile } from '#store/large';
import { verifyLedger } from '#store/ledger';
import { type CheckedFrame, checkSegments, openKeyReader } from '#store/log';
import { frameTypes, largeFileName, parseCommitBody, places } from '#store/segments';
import { isMessageLeaf, messageId, parseLeaf, parseVerifierKey } from '#trust/seal';
import { keyLines } from './key-lines.ts';
import type { VerifyReport } from './verify.ts';
import { dataFormat } from './verify-folder.ts';
import { LeafChannel } from './verify-leaf-channel.ts';
import { repairKeys } from './verify-repair-keys.ts';
import { repairLog } from './verify-repair-log.ts';
import type { Repairs } from './verify-repairs.ts';

/**
 * Repairs the log of a data folder that nobody writes to: segments, key files, `FORMAT`. The caller holds the lock.
 *
 * From a copy come only octets that verify against the chain; each file is replaced whole, by one that is durable before it takes the name.
 *
 * @param from the folder of a plain copy, or null
 * @param report what was found
 */
export const repairSegments = async (options: {
  io: Io;
  folder: string;
  from: string | null;
  shard: number;
  report: VerifyReport;
}): Promise<Repairs> => {
  const { io, folder, from, shard, report } = options;
  const repairs: Repairs = { done: [], refused: [] };
  const codes = new Set(report.findings.map(({ code }) => code));
  if (
    report.findings.some(
      ({ file, code }) => file === 'FORMAT' && (code === 'format' || code === 'file-missing'),
    )
  )
    await repairFormat(io, folder, repairs);
  const isDamaged = [
    'log-damaged',
    'tail-damaged',
    'rolled-back',
    'content-changed',
    'projection-ahead',
  ].some((code) => codes.has(code as never));
  if (isDamaged) {
    const suspects = new Set(
      report.findings.flatMap(({ code, seq }) => (code === 'content-changed' && seq !== null ? [seq] : [])),
    );
    await repairLog(io, folder, from, shard, suspects, repairs);
    await repairLargeFiles(io, folder, from, shard, repairs);
    await repairKeys({ io, folder, from, shard, suspects, repairs });
  }
  for (const { code, file } of report.findings) {
    if (code === 'file-unexpected') repairs.refused.push(`${file}: move it away yourself`);
    if (code === 'file-missing' && file === 'secrets.db')
      repairs.refused.push(
        'secrets.db: nothing here can check it; put it back from a copy, or set the passwords anew',
      );
  }
  return repairs;
};

/** Files of large bodies, by the hash that their frames name. */
const repairLargeFiles = async (
  io: Io,
  folder: string,
  from: string | null,
  shard: number,
  repairs: Repairs,
): Promise<void> => {
  let group: CheckedFrame[] = [];
  const keys = openKeyReader({ io, folder, shard });
  const take = async ({ head, leaf }: CheckedFrame): Promise<void> => {
    const { place, storedLength, fileHash } = head.storage;
    if (place !== places.ownFile || fileHash === null) return;
    // What was erased stays away, also where a copy still has it.
    if (head.record.key !== null && (await keys.fileKey(head.record.key)).kind === 'destroyed') return;
    const parsed = parseLeaf(leaf);
    if (!isMessageLeaf(parsed)) return;
    const facts = { id: messageId(parsed.msg), storedLength, fileHash };
    if ((await checkLargeFile(io, folder, facts)).kind === 'good') return;
    const file = `large/${largeFileName(facts.id)}`;
    const copied = from === null ? null : await copyLargeFile(io, folder, from, facts);
    if (copied?.kind === 'good') repairs.done.push(file);
    else
      repairs.refused.push(
        `${file}: ${copied === null ? 'not without a copy' : 'the copy does not have it either'}`,
      );
  };
  await checkSegments({
    io,
    folder,
    shard,
    live: false,
    certain: { seq: 0, leaves: 0 },
    deviation: () => {},
    frame: async (frame) => {
      group.push({ ...frame, leaf: frame.leaf.slice() });
      if (frame.head.record.type !== frameTypes.COMMIT) return;
      const frames = group;
      group = [];
      for (const each of frames) await take(each);
    },
  });
  await keys.close();
};

/** A `FORMAT` that a newer program wrote is left alone. */
export const repairFormat = async (io: Io, folder: string, repairs: Repairs): Promise<void> => {
  const path = `${folder}/FORMAT`;
  const text = (await io.stat(path)) === null ? '' : Buffer.from(await io.readFile(path)).toString('latin1');
  if (/^fengni data\nversion \d+\nshard \d+\noldest-writer \d+\n$/.test(text) && text !== dataFormat) {
    repairs.refused.push('FORMAT: another program may have written it');
    return;
  }
  await replaceFileDurable(io, path, [utf8(dataFormat)]);
  repairs.done.push('FORMAT');
};

/**
 * Makes ledger folders again from a log that is good: tiles, bundles, `checkpoint` from the newest head in the log, `ledger/keys`.
 *
 * A checkpoint that is good in itself and knows more than the log is never replaced: it is the witness.
 */
export const repairLedger = async (options: {
  io: Io;
  folder: string;
  shard: number;
  /** of the log as it is now */
  report: VerifyReport;
}): Promise<Repairs> => {
  const { io, folder, shard, report } = options;
  const repairs: Repairs = { done: [], refused: [] };
  const inLedger = report.findings.filter(({ file }) => file?.startsWith('ledger/') === true);
  const isLogGood = !report.findings.some(({ code }) => logCodes.has(code));
  if (inLedger.length === 0) return repairs;
  if (!isLogGood) {
    repairs.refused.push('ledger/: the log must be good first');
    return repairs;
  }
  if (inLedger.some(({ file }) => file === 'ledger/keys'))
    await repairKeysFile(io, folder, report.directory, repairs);
  for (const { generation, head } of report.generations) {
    const own = inLedger.filter(({ file }) => file?.startsWith(`ledger/g${generation}/`) === true);
    if (own.length === 0) continue;
    const channel = new LeafChannel();
    const key = report.directory.row('setting', `key-g${generation}`)?.['key'];
    const verified = verifyLedger({
      io,
      folder: `${folder}/ledger/g${generation}`,
      leaves: channel,
      keys: typeof key === 'string' ? [parseVerifierKey(key)] : [],
      repair: true,
    });
    await feed(io, folder, shard, generation, channel);
    const { findings } = await verified;
    for (const { path, repaired } of findings)
      if (repaired) repairs.done.push(`ledger/g${generation}/${path}`);
    const checkpoint = own.find(
      ({ code, file, what }) =>
        code === 'ledger-damaged' && file?.endsWith('/checkpoint') && replaceable(what),
    );
    if (checkpoint === undefined) continue;
    if (head === null) repairs.refused.push(`${checkpoint.file}: the log has no head of it`);
    else {
      await replaceFileDurable(io, `${folder}/${checkpoint.file}`, [head.note]);
      repairs.done.push(`${checkpoint.file}`);
    }
  }
  return repairs;
};

const logCodes: ReadonlySet<string> = new Set([
  'log-damaged',
  'tail-damaged',
  'rolled-back',
  'other-history',
  'content-changed',
  'leaf-wrong',
  'head-wrong',
]);

const replaceable = (what: string): boolean =>
  what === 'checkpoint-invalid' || what.startsWith('absent or older');

const repairKeysFile = async (
  io: Io,
  folder: string,
  directory: Directory,
  repairs: Repairs,
): Promise<void> => {
  await replaceFileDurable(io, `${folder}/ledger/keys`, [utf8(keyLines(directory))]);
  repairs.done.push('ledger/keys');
};

/** The leaves of one generation, from the log. */
const feed = async (
  io: Io,
  folder: string,
  shard: number,
  generation: number,
  channel: LeafChannel,
): Promise<void> => {
  let group: CheckedFrame[] = [];
  await checkSegments({
    io,
    folder,
    shard,
    live: false,
    certain: { seq: 0, leaves: 0 },
    deviation: () => {},
    frame: async (frame) => {
      group.push({ ...frame, leaf: frame.leaf.slice() });
      if (frame.head.record.type !== frameTypes.COMMIT) return;
      const own = frame.clearBody === null ? null : parseCommitBody(frame.clearBody);
      const frames = group;
      group = [];
      if (own?.generation !== generation) return;
      for (const { head, leaf } of frames) if (head.record.leafIndex !== null) await channel.push(leaf);
    },
  });
  channel.end();
};
