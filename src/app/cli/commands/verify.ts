import fs from 'node:fs';
import path from 'node:path';
import { dataFolderOwner, requireFolderLock, runningServer } from '#app/connect';
import { systemClock } from '#base/clock';
import type { ExitStatus } from '#base/errors';
import { FengniError } from '#base/errors';
import { say, type TextKey } from '#base/text';
import { addressKey } from '#message/address';
import type { Finding, Note, VerifyOptions, VerifyReport } from '#services/integrity';
import { nodeIo } from '#store/durable';
import { lockHolder } from '#store/lock';
import type { Command, CommandContext } from '../command.ts';
import { progress } from '../progress.ts';
import { UsageError } from '../usage-error.ts';

const shard = 0;

const option = (key: Extract<TextKey, `verify.option.${string}`>) => ({
  en: say('en', key),
  zh: say('zh', key),
});

/** `fengni verify` */
export const command: Command = {
  usage: (language) =>
    `verify [--all | --account ADDRESS] [--checkpoint FILE] [--repair [--from DIR]]\n\n${say(language, 'verify.usage')}`,
  options: {
    all: { type: 'boolean', text: option('verify.option.all') },
    account: { type: 'string', value: 'ADDRESS', text: option('verify.option.account') },
    checkpoint: { type: 'string', value: 'FILE', text: option('verify.option.checkpoint') },
    repair: { type: 'boolean', text: option('verify.option.repair') },
    from: { type: 'string', value: 'DIR', text: option('verify.option.from') },
  },
  run: async (context) => {
    context.argsMax(0);
    const repair = context.flag('repair');
    const from = context.text('from');
    if (from !== undefined && !repair) throw usage('verify.from-without-repair');
    if (repair && context.text('account') !== undefined) throw usage('verify.account-and-repair');
    const folder = await existingFolder(context);
    if (!repair) {
      const report = await verifyOnce(context, folder, isLive(folder), 'first');
      tell(context, report, null);
      return statusOf(report);
    }
    return await repairFolder(context, folder, from === undefined ? null : path.resolve(context.cwd, from));
  },
};

const usage = (key: 'verify.from-without-repair' | 'verify.account-and-repair'): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, key),
    remedy: say(language, 'cli.try-help', { command: 'verify ' }),
  }));

const statusOf = ({ findings }: VerifyReport): ExitStatus => (findings.length === 0 ? 0 : 1);

/** A data folder, also one whose `FORMAT` was taken away: that is for `verify` to tell. */
const existingFolder = async (context: CommandContext): Promise<string> => {
  const folder = await context.dataFolder();
  if (!fs.existsSync(path.join(folder, 'segments'))) dataFolderOwner(folder);
  return folder;
};

const isLive = (folder: string): boolean =>
  runningServer(folder) !== null || lockHolder(path.join(folder, 'lock')) !== null;

const verifyOnce = async (
  context: CommandContext,
  folder: string,
  live: boolean,
  label: string,
): Promise<VerifyReport> => {
  const options = await verifyOptions(context, folder, live, label);
  const { verifyData } = await import('#services/integrity');
  let bar: ReturnType<typeof progress> | null = null;
  try {
    return await verifyData({
      ...options,
      progress: ({ octets, ofOctets }) => {
        bar ??= progress(context.stderr, {
          label: context.say('verify.progress'),
          total: Math.max(1, ofOctets),
          unit: context.say('verify.octets'),
          clock: systemClock,
        });
        bar.set(octets);
      },
    });
  } finally {
    (bar as ReturnType<typeof progress> | null)?.end();
  }
};

const verifyOptions = async (
  context: CommandContext,
  folder: string,
  live: boolean,
  label: string,
): Promise<VerifyOptions> => {
  const { eventOf } = await import('#services/writer');
  const { createMessageParser } = await import('#services/mailstore');
  const { openFreshProjections, openProjectionSnapshot, openSqliteTrace } = await import('#store/sqlite');
  const { createMemoryDirectory } = await import('#store/memory');
  const checkpoint = context.text('checkpoint');
  const account = context.text('account');
  return {
    io: nodeIo,
    folder,
    shard,
    live,
    sealer: await sealerState(context, folder),
    kept:
      checkpoint === undefined
        ? null
        : { source: checkpoint, note: await nodeIo.readFile(path.resolve(context.cwd, checkpoint)) },
    account: account === undefined ? null : accountKey(account),
    decode: eventOf,
    parser: createMessageParser,
    projections: { openSnapshot: openProjectionSnapshot, openFresh: openFreshProjections },
    trace: (name) => {
      const file = path.join(folder, name);
      return fs.existsSync(file) ? openSqliteTrace(file, { readOnly: true }) : null;
    },
    label: `fengni-verify-${process.pid}-${label}`,
    directory: createMemoryDirectory,
  };
};

const accountKey = (address: string): string => {
  const key = addressKey(address);
  if (key !== null) return key;
  throw new FengniError('account-unknown', {
    subject: address,
    remedy: 'see "fengni account list"',
    exitStatus: 2,
  });
};

/** Read before anything else: what it has signed by now, the log has. */
const sealerState = async (context: CommandContext, folder: string): Promise<VerifyOptions['sealer']> => {
  const { markOf, parseState, sameFolder } = await import('#services/sealer');
  const own = path.join(folder, 'sealer');
  const stat = await nodeIo.stat(own);
  if (stat === null || (await nodeIo.stat(path.join(own, 'state'))) === null) return askSealer(context);
  try {
    const state = parseState(await nodeIo.readFile(path.join(own, 'state')));
    return { kind: 'state', state, copied: !sameFolder(markOf(stat), state.folder) };
  } catch (error) {
    if (!(error instanceof FengniError) || error.code !== 'sealer-state-damaged') throw error;
    return { kind: 'damaged', what: error.subject };
  }
};

/** A sealer that is a service of its own keeps its folder to itself, and answers. */
const askSealer = async (context: CommandContext): Promise<VerifyOptions['sealer']> => {
  const { socket } = (await context.config()).sealer;
  if (socket === null) return { kind: 'absent' };
  const { connectIpc } = await import('#net/ipc');
  const { parseHash } = await import('#trust/seal');
  try {
    const client = await connectIpc(socket);
    try {
      const { result } = await client.call<SealerAnswer>('head');
      if (result.kind !== 'signed') return { kind: 'absent' };
      const { generation, size, root } = result.head;
      const octets = parseHash(root);
      return octets === null
        ? { kind: 'damaged', what: 'it answers with something that is no head' }
        : { kind: 'head', generation, size, root: octets };
    } finally {
      client.close();
    }
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    return { kind: 'absent' };
  }
};

type SealerAnswer =
  | { kind: 'signed'; head: { generation: number; size: number; root: string } }
  | { kind: 'refused' };

interface RepairTold {
  done: readonly string[];
  refused: readonly string[];
  /** of the frame that says so in the log; null when it could not be written, for the reason beside */
  seq: number | null;
  notLogged: string | null;
}

/** what one frame of the log names; more are counted */
const loggedFilesMax = 1_000;

const repairFolder = async (
  context: CommandContext,
  folder: string,
  from: string | null,
): Promise<ExitStatus> => {
  if (isLive(folder)) throw running(folder);
  if (from !== null && !fs.existsSync(path.join(from, 'segments')))
    throw new FengniError('data-folder-missing', {
      subject: from,
      remedy: 'name the folder of a plain copy: --from DIR',
      exitStatus: 2,
    });
  const { repairFormat, repairLedger, repairSegments } = await import('#services/integrity');
  const { removeProjections, removeTrace } = await import('#app/control');
  const done: string[] = [];
  const refused: string[] = [];
  // Without FORMAT nothing takes this for a data folder, so that it could not even be locked.
  if (!fs.existsSync(path.join(folder, 'FORMAT'))) await repairFormat(nodeIo, folder, { done, refused });
  const lock = await requireFolderLock(folder);
  let told: RepairTold = { done, refused, seq: null, notLogged: null };
  let report: VerifyReport;
  try {
    report = await verifyOnce(context, folder, false, 'first');
    if (report.findings.length > 0) {
      if (!context.json) for (const finding of report.findings) context.print(findingLine(context, finding));
      const inLog = await repairSegments({ io: nodeIo, folder, from, shard, report });
      done.push(...inLog.done);
      refused.push(...inLog.refused);
      if (inLog.done.length > 0) report = await verifyOnce(context, folder, false, 'second');
      const inLedger = await repairLedger({ io: nodeIo, folder, shard, report });
      done.push(...inLedger.done);
      refused.push(...inLedger.refused);
      const inProjection = (names: readonly string[]): boolean =>
        report.findings.some(({ code, file }) => projectionCodes.has(code) && names.includes(file ?? ''));
      if (inProjection(['index.db', 'state.db'])) {
        removeProjections(folder);
        done.push('index.db', 'state.db', 'trace.db');
      } else if (inProjection(['trace.db'])) {
        removeTrace(folder);
        done.push('trace.db');
      }
      if (inProjection(['attempts.db']))
        refused.push('attempts.db: nothing else has what was refused; move the file away to begin a new one');
      told = await logRepair(context, folder, from, told);
      report = await verifyOnce(context, folder, false, 'last');
    }
  } finally {
    lock.release();
  }
  if (!context.json) {
    for (const what of done) context.print(context.say('verify.repair.done', { what }));
    for (const what of refused) context.print(context.say('verify.repair.refused', { what }));
    if (done.length === 0) context.print(context.say('verify.repair.nothing'));
    else {
      if (told.seq !== null) context.print(context.say('verify.repair.logged', { seq: told.seq }));
      else context.print(context.say('verify.repair.not-logged', { why: told.notLogged ?? '' }));
      context.print(context.say('verify.repair.again'));
    }
  }
  tell(context, report, told);
  return statusOf(report);
};

const projectionCodes: ReadonlySet<string> = new Set([
  'projection-damaged',
  'projection-ahead',
  'row-changed',
  'row-hidden',
  'row-extra',
  'message-hidden',
]);

/** Opens the writer, which makes projections anew that were taken away, and says in the log what was done. */
const logRepair = async (
  context: CommandContext,
  folder: string,
  from: string | null,
  told: RepairTold,
): Promise<RepairTold> => {
  if (told.done.length === 0) return told;
  const { openLocalWriter } = await import('#app/connect');
  const config = await context.config();
  try {
    const writer = await openLocalWriter({ dataFolder: folder, config, logger: context.logger });
    try {
      const { seq } = await writer.call<{ seq: number }>('repaired', {
        files: told.done.slice(0, loggedFilesMax),
        from: from === null ? '' : 'copy',
      });
      return { ...told, seq };
    } finally {
      await writer.close();
    }
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    return { ...told, notLogged: `${error.code}: ${error.subject}` };
  }
};

const running = (folder: string): FengniError =>
  new FengniError('data-folder-in-use', {
    subject: `${folder} is held by ${serverPid(folder)}`,
    remedy: 'a repair needs the folder for itself: stop the server first; nothing was repaired',
  });

const serverPid = (folder: string): string => {
  const pid = runningServer(folder)?.pid ?? lockHolder(path.join(folder, 'lock'));
  return pid === null ? 'another process' : `process ${pid}`;
};

const tell = (context: CommandContext, report: VerifyReport, repair: RepairTold | null): void => {
  const { findings, notes, log, content, generations } = report;
  if (context.json) {
    context.printJson({
      good: findings.length === 0,
      findings: findings.map((finding) => findingJson(context, finding)),
      notes: notes.map((note) => ({ code: note.code, what: note.what })),
      frames: log.frames,
      segments: log.segments,
      octets: log.octets,
      leaves: leafCount(report),
      heads: generations.reduce((sum, { heads }) => sum + heads, 0),
      messages: { checked: content.checked, unchecked: content.unchecked, erased: content.erased },
      ...(repair === null ? {} : { repair }),
    });
    return;
  }
  for (const finding of findings) context.print(findingLine(context, finding));
  for (const note of notes) context.print(noteLine(context, note));
  const counts = {
    frames: log.frames,
    segments: log.segments,
    octets: log.octets,
    leaves: leafCount(report),
    heads: generations.reduce((sum, { heads }) => sum + heads, 0),
  };
  const { checked, unchecked, erased } = content;
  const key = context.text('account') === undefined ? 'verify.content' : 'verify.content.account';
  context.print(context.say(key, { checked, unchecked, erased }));
  context.print(
    findings.length === 0
      ? context.say('verify.good', counts)
      : context.say('verify.wrong', { count: findings.length, ...counts }),
  );
};

const leafCount = ({ generations }: VerifyReport): number =>
  generations.reduce((sum, { count }) => sum + count, 0);

const findingLine = (context: CommandContext, finding: Finding): string => {
  const { code, file, what, id, sinceMs } = finding;
  return context
    .say('verify.finding', {
      file: file ?? '-',
      place: placeOf(finding),
      sentence: context.say(`verify.finding.${code}`, { what }),
      id: id === null ? '' : context.say('verify.id', { id }),
      since: sinceMs === null ? '' : context.say('verify.since', { time: new Date(sinceMs).toISOString() }),
      remedy: context.say(`verify.remedy.${code}`),
    })
    .trim();
};

const placeOf = ({ offset, seq }: Finding): string =>
  `${offset === null ? '' : ` @${offset}`}${seq === null ? '' : ` #${seq}`}`;

const noteLine = (context: CommandContext, { code, what }: Note): string =>
  context.say('verify.note', { sentence: context.say(`verify.note.${code}`, { what }) });

const findingJson = (context: CommandContext, finding: Finding): Record<string, unknown> => {
  const { code, file, offset, seq, id, what, sinceMs } = finding;
  return {
    code,
    file,
    offset,
    seq,
    id,
    what,
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
    sentence: context.say(`verify.finding.${code}`, { what }),
    remedy: context.say(`verify.remedy.${code}`),
  };
};
