import { equalBytes, utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { MessageParser } from '#services/mailstore';
import type { SealerState } from '#services/sealer';
import type { Io } from '#store/durable';
import type { Directory } from '#store/index';
import { checkLargeFile } from '#store/large';
import {
  type CheckedFrame,
  type CheckSummary,
  checkSegments,
  type Frame,
  openKeyReader,
  openSegmentReader,
  type SegmentReader,
} from '#store/log';
import { frameTypes, largeFileName, parseCommitBody, parseSegmentFileName, places } from '#store/segments';
import {
  CompactRange,
  encodeVerifierKey,
  isMessageLeaf,
  type Leaf,
  messageId,
  parseCheckpoint,
  parseLeaf,
  parseOrigin,
  type SignedCheckpoint,
  verifyNote,
} from '#trust/seal';
import { keyLines } from './key-lines.ts';
import { ContentCheck, type ContentCounts, type DecodeFrame } from './verify-content.ts';
import { type Finding, Findings, findingOf, type Note } from './verify-finding.ts';
import { namesIn, verifyFolder } from './verify-folder.ts';
import { compareKeptHeads, type GenerationLeaves, type KeptHead, LeafTrack } from './verify-leaves.ts';
import { LedgerCheck } from './verify-ledger-folder.ts';
import { ProjectionCheck, type ProjectionTools } from './verify-projections.ts';
import { type OpenTrace, verifyTrace } from './verify-trace.ts';

export interface VerifyOptions {
  io: Io;
  /** DATA */
  folder: string;
  shard: number;
  /** a server writes meanwhile */
  live: boolean;
  /** what the sealer knows, as it was before this began: its state, or the head that it answers; `absent` where neither can be had */
  sealer:
    | { kind: 'state'; state: SealerState; copied: boolean }
    | { kind: 'head'; generation: number; size: number; root: Uint8Array }
    | { kind: 'absent' }
    | { kind: 'damaged'; what: string };
  /** a head kept outside: a signed note */
  kept: { source: string; note: Uint8Array } | null;
  /** open only this account's messages; its key in the table `account` */
  account: string | null;
  decode: DecodeFrame;
  parser(): MessageParser;
  projections: ProjectionTools;
  /** opens `trace.db` and `attempts.db`; left out, they are not looked at */
  trace?: OpenTrace;
  /** names databases in memory; another for each call that runs at once */
  label: string;
  /** an empty directory, in memory */
  directory(): Directory;
  progress?(done: { octets: number; ofOctets: number }): void;
}

export interface VerifyReport {
  findings: readonly Finding[];
  notes: readonly Note[];
  log: CheckSummary;
  content: ContentCounts;
  /** by generation, ascending */
  generations: readonly GenerationLeaves[];
  /** the rows as the whole log has them */
  directory: Directory;
}

/**
 * Checks every octet against the log, and the log against everything that knows of it. Changes nothing.
 *
 * One reading of segments and key files; memory holds the projections made anew, one group's frames and what is told.
 *
 * @throws {FengniError} of `Io`; `checkpoint-unusable`, `account-unknown` (exit status 2)
 */
export const verifyData = async (options: VerifyOptions): Promise<VerifyReport> => {
  const { io, folder, shard, live } = options;
  const findings = new Findings();
  const directory = options.directory();
  const kept = options.kept === null ? null : readKept(options.kept);
  const heads = await keptHeads(options, findings);
  const segments = openSegmentReader({ io, folder });
  const keys = openKeyReader({ io, folder, shard });
  const projections = new ProjectionCheck(options.projections, folder, options.label, findings);
  const content = new ContentCheck({ segments, keys, decode: options.decode, parser: options.parser });
  const wanted = new Set([...heads.map(({ size }) => size), ...(kept === null ? [] : [kept.head.size])]);
  const walk = new Walk(options, { findings, directory, segments, projections, content, wanted });
  try {
    // What was applied before was durable before: a group that is not whole any more was not just being written.
    const durableSeq = projections.appliedSeq;
    const log = await checkSegments({
      io,
      folder,
      shard,
      live,
      certain: { seq: durableSeq, leaves: certainLeaves(heads) },
      deviation: ({ file, offset, seq, what }) => {
        // A server goes on writing behind what it had said was durable.
        if (live && seq !== null && seq > durableSeq && durableSeq > 0) return;
        findings.add(findingOf('log-damaged', what, { file, offset, seq }));
        walk.broken();
      },
      frame: (frame, file) => walk.frame(frame, file),
      segmentOfLeaf: (octets) => {
        const leaf = leafOrNull(octets);
        return leaf?.kind === 'segment'
          ? { number: leaf.number, revision: leaf.revision, sha256: leaf.sha256 }
          : null;
      },
      ...(options.progress === undefined ? {} : { progress: options.progress }),
    });
    await walk.finish();
    content.finish();
    await unfinishedTail(options, log, durableSeq, findings);
    await walk.compareLateHeads();

    const generations = new Map(walk.tracks.map((track) => [track.generation, track]));
    if (kept !== null) checkKept(kept, walk.tracks, findings);
    const all = kept === null ? heads : [...heads, { ...kept.head, source: kept.source }];
    compareKeptHeads(all, generations, walk.accepted, findings);
    await walk.finishLedgers(findings);
    if (options.account === null) {
      projections.finish(log.lastSeq, live);
      if (options.trace !== undefined) verifyTrace(options.trace, projections.index, live, findings);
    } else findings.note('account-only', 'index.db, state.db, trace.db, attempts.db');
    await checkKeys(options, directory, findings);
    await verifyFolder(io, folder, [...generations.keys()], walk.largeFiles, live, findings);
    if (options.account !== null && directory.row('account', options.account) === null)
      throw new FengniError('account-unknown', {
        subject: options.account,
        remedy: 'see "fengni account list"',
        exitStatus: 2,
      });
    return {
      findings: findings.finish((seq) => projections.messageId(seq)),
      notes: findings.notes,
      log,
      content: content.counts,
      generations: walk.tracks,
      directory,
    };
  } finally {
    projections.close();
    await segments.close();
    await keys.close();
  }
};

/** where only good frames are asked for */
const nothingCertain = { seq: 0, leaves: 0 };

/** The leaves that somebody signed, in the newest generation that anybody knows. */
const certainLeaves = (heads: readonly KeptHead[]): number => {
  const newest = Math.max(0, ...heads.map(({ generation }) => generation));
  return Math.max(0, ...heads.filter(({ generation }) => generation === newest).map(({ size }) => size));
};

const leafOrNull = (octets: Uint8Array): ReturnType<typeof parseLeaf> | null => {
  try {
    return parseLeaf(octets);
  } catch {
    return null;
  }
};

interface WalkParts {
  findings: Findings;
  directory: Directory;
  segments: ReturnType<typeof openSegmentReader>;
  projections: ProjectionCheck;
  content: ContentCheck;
  wanted: ReadonlySet<number>;
}

/** What is made of the log's frames, group by group: a group that never became whole says nothing. */
class Walk {
  readonly tracks: LeafTrack[] = [];
  /** by generation: leaves of the last head known when the next one began */
  readonly accepted = new Map<number, number>();
  /** ids of messages whose octets lie in `large/` */
  readonly largeFiles = new Set<string>();
  readonly #options: VerifyOptions;
  readonly #parts: WalkParts;
  readonly #ledgers: LedgerCheck[] = [];
  #group: { frame: CheckedFrame; file: string }[] = [];
  #generation = 0;
  #file = '';
  #segment = 0;
  #ahead: Awaited<ReturnType<SegmentReader['readAhead']>> | null = null;

  constructor(options: VerifyOptions, parts: WalkParts) {
    this.#options = options;
    this.#parts = parts;
  }

  async frame(frame: CheckedFrame, file: string): Promise<void> {
    this.#group.push({ frame, file });
    if (frame.head.record.type !== frameTypes.COMMIT) return;
    const group = this.#group;
    this.#group = [];
    const generation = generationOf(frame);
    if (generation !== null && generation !== this.#generation) this.#begin(generation);
    const { account } = this.#options;
    const asked = account === null ? null : await this.#messagesOf(account, group);
    for (const each of group) await this.#take(each.frame, each.file, asked);
  }

  /** Frames could not be read: what needs all of them can no longer be compared. */
  broken(): void {
    this.#parts.projections.incomplete('the log is damaged');
    this.tracks.at(-1)?.broken();
    this.#ledgers.at(-1)?.broken();
  }

  async finish(): Promise<void> {
    for (const track of this.tracks) track.finish();
  }

  async finishLedgers(findings: Findings): Promise<void> {
    for (const [at, ledger] of this.#ledgers.entries()) {
      const track = this.tracks[at];
      if (track !== undefined) await ledger.finish(findings, track);
    }
  }

  /** Heads that came long behind their leaves: a second reading, of leaf hashes alone. */
  async compareLateHeads(): Promise<void> {
    const late = this.tracks.flatMap((track) => track.lateHeads.map((each) => ({ track, ...each })));
    if (late.length === 0) return;
    let generation = 0;
    let range = new CompactRange();
    const open: CheckedFrame[] = [];
    const { io, folder, shard, live } = this.#options;
    await checkSegments({
      io,
      folder,
      shard,
      live,
      certain: nothingCertain,
      deviation: () => {},
      frame: (frame) => {
        open.push(frame);
        if (frame.head.record.type !== frameTypes.COMMIT) return;
        const own = generationOf(frame) ?? generation;
        if (own !== generation) range = new CompactRange();
        generation = own;
        for (const { head } of open.splice(0)) {
          if (head.record.leafIndex !== range.size) continue;
          range.append(head.record.leafHash);
          for (const each of late)
            if (each.track.generation === generation && each.head.size === range.size)
              each.track.compareHead(each.frame, each.head, range.root());
        }
      },
    });
  }

  #begin(generation: number): void {
    this.#generation = generation;
    const { io, folder, live } = this.#options;
    const before = this.tracks.at(-1) ?? null;
    this.tracks.push(new LeafTrack(generation, before, this.#parts.wanted, this.#parts.findings));
    this.#ledgers.push(new LedgerCheck(io, folder, generation, live));
  }

  /** @param asked the messages to open; null for all */
  async #take(checked: CheckedFrame, file: string, asked: ReadonlySet<number> | null): Promise<void> {
    const { findings, directory, projections, content } = this.#parts;
    const { record, recordHash } = checked.head;
    const { seq } = record;
    const track = this.tracks.at(-1);
    const ledger = this.#ledgers.at(-1);
    if (track === undefined || ledger === undefined) return;
    const isHead = record.type === frameTypes.HEAD;
    const leaf = track.frame({
      file,
      offset: checked.offset,
      seq,
      leafIndex: record.leafIndex,
      recordHash,
      leaf: checked.leaf,
      leafHash: record.leafHash,
      note: isHead ? (checked.clearBody ?? utf8('')) : null,
    });
    if (record.leafIndex !== null) {
      if (!track.whole) ledger.broken();
      await ledger.leaf(checked.leaf);
    }
    if (leaf?.kind === 'genesis' && leaf.previous !== null) {
      const previous = parseOrigin(leaf.previous.origin)?.generation;
      if (previous !== undefined) this.accepted.set(previous, leaf.previous.size);
    }
    projections.frame(seq, recordHash);
    if (!meaningful.has(record.type)) return;
    if (record.type === frameTypes.MSG) await this.#ownFile(checked, leaf, file);
    const open = record.type !== frameTypes.MSG || asked === null || asked.has(seq);
    const place = { file, offset: checked.offset, seq };
    let outcome: Awaited<ReturnType<ContentCheck['frame']>>;
    try {
      outcome = await content.frame(await this.#read(checked, file), leaf, open);
    } catch (error) {
      if (!(error instanceof FengniError) || error.code !== 'frame-damaged') throw error;
      outcome = { kind: 'wrong', what: error.subject, id: null };
    }
    if (outcome.kind === 'unknown') {
      projections.incomplete('keys are not at hand');
      return;
    }
    if (outcome.kind === 'wrong') {
      projections.incomplete('the log is damaged');
      findings.add(
        findingOf('content-changed', `frame ${seq}: ${outcome.what}`, { ...place, id: outcome.id }),
      );
      return;
    }
    const { event } = outcome;
    if (event === null) {
      if (record.type === frameTypes.DELIVER) projections.erasedCopy();
      return;
    }
    projections.add(event, place);
    if (event.type === 'row' || event.type === 'erased') directory.apply([event], seq);
    if (event.type !== 'row') return;
    const key = event.value?.['key'];
    if (event.table === 'setting' && event.key === `key-g${track.generation}` && typeof key === 'string') {
      track.setKey(key);
      ledger.start(key);
    }
  }

  /** Octets that lie in a file of their own are part of the log too. */
  async #ownFile({ head, offset }: CheckedFrame, leaf: Leaf | null, file: string): Promise<void> {
    const { storage, record } = head;
    if (storage.place !== places.ownFile || storage.fileHash === null) return;
    // An erased message has no file; whether its slot may be destroyed is looked at with the keys.
    if (record.key !== null && (await this.#parts.content.isDestroyed(record.key))) return;
    if (leaf === null || !isMessageLeaf(leaf)) return;
    const id = messageId(leaf.msg);
    this.largeFiles.add(id);
    const { io, folder } = this.#options;
    const { storedLength, fileHash } = storage;
    const found = await checkLargeFile(io, folder, { id, storedLength, fileHash });
    if (found.kind === 'good') return;
    const what =
      found.kind === 'missing'
        ? 'the file is missing'
        : found.kind === 'length'
          ? `it has ${found.sizeBytes} octets instead of ${storedLength}`
          : 'its SHA-256 is not the one in its frame';
    this.#parts.findings.add(
      findingOf('log-damaged', `${what} (frame ${record.seq} in ${file} at ${offset})`, {
        file: `large/${largeFileName(id)}`,
        seq: record.seq,
        id,
      }),
    );
    this.#parts.projections.incomplete('the log is damaged');
  }

  /** With one account, only what was delivered to it is opened; a message's copies stand behind it in its group. */
  async #messagesOf(
    address: string,
    group: readonly { frame: CheckedFrame; file: string }[],
  ): Promise<ReadonlySet<number>> {
    const account = this.#parts.directory.row('account', address)?.['id'];
    const seqs = new Set<number>();
    for (const { frame, file } of group) {
      if (frame.head.record.type !== frameTypes.DELIVER) continue;
      const copy = await this.#parts.content.copyOf(await this.#read(frame, file)).catch(() => null);
      if (copy !== null && copy.account === account) seqs.add(copy.messageSeq);
    }
    return seqs;
  }

  /** The frame with its octets, as `checkSegments` has checked it; what is large is read by its parts when it is opened. */
  async #read(checked: CheckedFrame, file: string): Promise<Frame> {
    const { segments } = this.#parts;
    const { head, offset } = checked;
    if (file !== this.#file) {
      this.#file = file;
      this.#segment = parseSegmentFileName(file.slice('segments/'.length))?.firstSeq ?? 0;
    }
    const address = { segment: this.#segment, offset, lengthBytes: head.lengthBytes };
    const isClear = head.record.key === null;
    // Of a clear frame the body counts that was hashed; of a sealed one, head and octets prove themselves when they are opened.
    if (head.lengthBytes > aheadBytes || (isClear && checked.clearBody === null))
      return segments.readFrame(address, head.record.seq);
    let octets = this.#ahead?.octets(address) ?? null;
    if (octets === null) {
      // The frames that follow lie behind it, and are asked for next.
      this.#ahead = await segments.readAhead([{ ...address, lengthBytes: aheadBytes }]);
      octets = this.#ahead.octets(address);
    }
    if (octets === null) return segments.readFrame(address, head.record.seq);
    return {
      address,
      head,
      leaf: checked.leaf,
      storedHead: octets.subarray(head.headAt, head.octetsAt),
      clearBody: isClear ? checked.clearBody : null,
      storedOctets: octets.subarray(head.octetsAt, head.endAt),
    };
  }
}

/** octets read at once for frames that lie behind each other; a larger one is read by its parts */
const aheadBytes = 128 * 1024;

const meaningful: ReadonlySet<number> = new Set([
  frameTypes.MSG,
  frameTypes.DELIVER,
  frameTypes.STATE,
  frameTypes.ROW,
  frameTypes.SNAP,
  frameTypes.LEAF,
  frameTypes.ERASED,
]);

const generationOf = (commit: CheckedFrame): number | null =>
  commit.clearBody === null ? null : (parseCommitBody(commit.clearBody)?.generation ?? null);

/** Octets behind the last group: of a group that was never acknowledged, unless somebody applied more than the log has. */
const unfinishedTail = async (
  { io, folder, live }: VerifyOptions,
  log: CheckSummary,
  durableSeq: number,
  findings: Findings,
): Promise<void> => {
  if (log.unfinishedOctets === 0 || live) return;
  const last = (await namesIn(io, `${folder}/segments`))
    .filter((name) => parseSegmentFileName(name) !== null)
    .at(-1);
  const file = `segments/${last}`;
  const size = (await io.stat(`${folder}/${file}`))?.size ?? 0;
  const offset = size - log.unfinishedOctets;
  if (durableSeq > log.lastSeq) {
    findings.add(
      findingOf(
        'tail-damaged',
        `the frames ${log.lastSeq + 1} to ${durableSeq} were acknowledged and are not whole`,
        {
          file,
          offset,
          seq: log.lastSeq + 1,
        },
      ),
    );
  } else
    findings.note('tail-unfinished', `${file}, from offset ${offset} on: ${log.unfinishedOctets} octets`);
};

interface KeptOutside {
  source: string;
  head: Omit<KeptHead, 'source'>;
  note: SignedCheckpoint;
}

const readKept = ({ source, note }: { source: string; note: Uint8Array }): KeptOutside => {
  try {
    const head = parseCheckpoint(note);
    const origin = parseOrigin(head.origin);
    if (origin === null) throw new Error(`the origin ${head.origin} is none of Fengni`);
    const { size, root } = head;
    return { source, head: { generation: origin.generation, size, root }, note: head };
  } catch (cause) {
    throw new FengniError('checkpoint-unusable', {
      subject: `${source}: ${cause instanceof FengniError ? cause.subject : String(cause)}`,
      remedy: 'give a file that "fengni log checkpoint" wrote',
      exitStatus: 2,
      cause,
    });
  }
};

/** A head kept outside proves something only when this log's own key signed it. */
const checkKept = (
  { source, head, note }: KeptOutside,
  tracks: readonly LeafTrack[],
  findings: Findings,
): void => {
  const key = tracks.find(({ generation }) => generation === head.generation)?.key ?? null;
  // Without the generation or its key the comparison of sizes says what is wrong.
  if (key === null) return;
  if (key.name !== note.origin || verifyNote(note.note, key).kind !== 'signed')
    findings.add(findingOf('head-foreign', `${source}: not signed by ${encodeVerifierKey(key)}`));
};

/** Heads that lie in the data folder, and the sealer's. */
const keptHeads = async ({ io, folder, sealer }: VerifyOptions, findings: Findings): Promise<KeptHead[]> => {
  const heads: KeptHead[] = [];
  for (const name of await namesIn(io, `${folder}/ledger`)) {
    const generation = /^g([1-9]\d{0,8})$/.exec(name)?.[1];
    if (generation === undefined || !(await namesIn(io, `${folder}/ledger/${name}`)).includes('checkpoint'))
      continue;
    try {
      const { origin, size, root } = parseCheckpoint(
        await io.readFile(`${folder}/ledger/${name}/checkpoint`),
      );
      if (parseOrigin(origin)?.generation !== Number(generation)) continue;
      heads.push({ source: `ledger/${name}/checkpoint`, generation: Number(generation), size, root });
    } catch (error) {
      // A malformed one is told by the comparison of the ledger's folder.
      if (!(error instanceof FengniError)) throw error;
    }
  }
  if (sealer.kind === 'damaged')
    findings.add(findingOf('sealer-state', sealer.what, { file: 'sealer/state' }));
  else if (sealer.kind === 'absent') findings.note('sealer-unknown', 'sealer/');
  else if (sealer.kind === 'head') {
    const { generation, size, root } = sealer;
    heads.push({ source: 'the sealer', generation, size, root });
  } else {
    const { generation, range, previous } = sealer.state;
    if (sealer.copied) findings.note('sealer-copied', 'sealer/');
    heads.push({ source: 'the sealer', generation, size: range.size, root: range.root() });
    const before = previous === null ? null : parseOrigin(previous.origin);
    if (previous !== null && before !== null)
      heads.push({
        source: 'the sealer',
        generation: before.generation,
        size: previous.size,
        root: previous.root,
      });
  }
  return heads;
};

/** `ledger/keys`, for those who may read no more than the ledger. */
const checkKeys = async (
  { io, folder, live }: VerifyOptions,
  directory: Directory,
  findings: Findings,
): Promise<void> => {
  const expected = utf8(keyLines(directory));
  const file = 'ledger/keys';
  if (expected.length === 0) return;
  if (!(await namesIn(io, `${folder}/ledger`)).includes('keys')) {
    if (!live) findings.add(findingOf('ledger-keys', 'the file is missing', { file }));
  } else if (!equalBytes(await io.readFile(`${folder}/${file}`), expected))
    findings.add(findingOf('ledger-keys', 'its lines are not those of the rows', { file }));
};
