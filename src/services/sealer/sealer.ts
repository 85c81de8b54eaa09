import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type Io, replaceFileDurable } from '#store/durable';
import { LedgerReader } from '#store/ledger';
import {
  type Checkpoint,
  CompactRange,
  encodeVerifierKey,
  leafHash,
  parseCheckpoint,
  parseLeaf,
  parseOrigin,
  type SignerKey,
  signCheckpoint,
  verifyNote,
} from '#trust/seal';
import {
  type AllowanceKind,
  allowanceFile,
  parseAllowance,
  parseKeyFile,
  provisionalKey,
} from './allowance.ts';
import { encodeState, markOf, parseState, type SealerState, sameFolder } from './sealer-state.ts';

/** A head that this sealer signed. */
export interface SealerHead extends Checkpoint {
  readonly generation: number;
  /** verifier key, `<name>+<id>+<base64>` */
  readonly key: string;
  /** the signed note */
  readonly note: Uint8Array;
}

/** Why a sealer does not sign. Nothing was changed. */
export type SealerRefusal =
  /** no generation was begun here */
  | 'no-generation'
  /** the folder is a copy of the one that it was made in */
  | 'copied'
  | 'other-generation'
  | 'other-origin'
  /** fewer leaves than under the last head: a roll-back */
  | 'shrink'
  /** the last head has another root for this size */
  | 'fork'
  /** the entries do not give the root that was asked for */
  | 'root-mismatch'
  /** the entries cannot be read from the tiles */
  | 'entries-unreadable'
  /** the old generation does not end with the leaf that names the next key */
  | 'no-handover-leaf'
  /** a generation before the present one, or one that had a key already */
  | 'generation-used'
  /** nobody on the sealer's side permitted this step */
  | 'not-allowed'
  /** a head is published that this folder does not remember: its memory was put back to an older one */
  | 'rolled-back'
  /** the new generation does not begin with the leaf that names the last head of the one before */
  | 'no-genesis-leaf'
  /** the folder cannot be used: see the code */
  | 'sealer-state-damaged'
  | 'sealer-state-lost'
  | 'sealer-key-lost';

interface Refused {
  readonly kind: 'refused';
  readonly reason: SealerRefusal;
  readonly detail: string;
}

export type SealerOutcome = { readonly kind: 'signed'; readonly head: SealerHead } | Refused;

/** What answers for the next generation before it begins. */
export type PrepareOutcome =
  | {
      readonly kind: 'prepared';
      /** verifier key of the generation to come */
      readonly key: string;
      /** the last head that is known to be signed: what the genesis leaf has to name; null where none is */
      readonly previous: Checkpoint | null;
    }
  | Refused;

export interface NextGeneration {
  readonly generation: number;
  readonly origin: string;
  /** whether it begins although the last head does not end with the leaf `handover`. Only a person decides that. */
  readonly acceptLoss: boolean;
}

export interface SealerOptions {
  /** of its own folder */
  readonly io: Io;
  /** of the ledger, in which others write; default `io` */
  readonly ledgerIo?: Io;
  /** the sealer's own; must exist, mode 0700 */
  readonly folder: string;
  /** `ledger/g<N>` of a generation */
  readonly ledgerFolder: (generation: number) => string;
}

/**
 * The only one that signs heads, and that cannot sign two histories.
 *
 * It keeps the right edge of the tree that it signed last, durably, and extends it itself from the entries: what it signs
 * continues what it signed, whatever it is asked. The new state is durable before the signature leaves. Calls are done
 * one after the other.
 */
export class Sealer {
  readonly #options: SealerOptions;
  #state: SealerState | null;
  #signer: SignerKey | null;
  #copied: boolean;
  #failed = false;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    options: SealerOptions,
    state: SealerState | null,
    signer: SignerKey | null,
    copied: boolean,
  ) {
    this.#options = options;
    this.#state = state;
    this.#signer = signer;
    this.#copied = copied;
  }

  /**
   * Reads the state. A copied folder opens, but signs nothing.
   *
   * @throws {FengniError} `sealer-state-damaged`, `sealer-state-lost`, `sealer-key-lost`
   */
  static async open(options: SealerOptions): Promise<Sealer> {
    const { io, folder } = options;
    const names = await io.readFolder(folder);
    // left by a process that was killed while it replaced a file; one may hold a key
    for (const name of names) if (name.endsWith('.tmp')) await io.remove(`${folder}/${name}`);
    if (!names.includes('state')) {
      const used = names.find((name) => /^g\d+\.key$/.test(name));
      if (used !== undefined)
        throw new FengniError('sealer-state-lost', {
          subject: `${folder} has ${used} but no state`,
          remedy:
            'the sealer cannot know what it signed: move the folder away and run "fengni log new-generation"',
        });
      return new Sealer(options, null, null, false);
    }
    const state = parseState(await io.readFile(`${folder}/state`));
    // An earlier life may have ended between writing it and making it durable; what is signed from it must not be taken back.
    const file = await io.open(`${folder}/state`, 'write');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await io.syncFolder(folder);
    const signer = await readSigner(options, state, names);
    await removeOldKeys(io, folder, state.generation);
    const stat = await io.stat(folder);
    return new Sealer(options, state, signer, stat === null || !sameFolder(markOf(stat), state.folder));
  }

  /** The last head, signed; of no leaves when a generation has just begun; null before the first generation. */
  head(): Promise<SealerOutcome> {
    return this.#next(async () => {
      const state = this.#state;
      if (state === null) return refused('no-generation', 'no generation was begun');
      if (this.#copied) return this.#refusedAsCopy();
      return (await this.#rolledBack(state)) ?? this.#sign();
    });
  }

  /**
   * Begins the first generation that this folder knows: the first of a log, or, with a permission, one behind a lost memory.
   *
   * The same call again gives the same key.
   */
  create(request: { generation: number; origin: string }): Promise<SealerOutcome> {
    return this.#next(async () => {
      const { generation, origin } = request;
      const state = this.#state;
      if (state !== null) {
        if (this.#copied) return this.#refusedAsCopy();
        if (state.generation === generation && state.key.name === origin) return this.#sign();
        return refused('generation-used', `generation ${state.generation} of ${state.key.name} was begun`);
      }
      const wrong = await this.#mayBegin({ generation, origin, acceptLoss: true });
      if (wrong !== null) return wrong;
      const signer = await this.#newKey(generation, origin, true);
      await this.#begin(generation, signer, null);
      return this.#sign();
    });
  }

  /**
   * Signs the head of these leaves when they continue the last one; the same size and root again give the same head.
   *
   * @param root what the writer calculated; the sealer's own calculation must agree
   */
  advance(request: {
    generation: number;
    origin: string;
    size: number;
    root: Uint8Array;
  }): Promise<SealerOutcome> {
    return this.#next(async () => {
      const { generation, origin, size, root } = request;
      assert(Number.isSafeInteger(size) && size >= 0);
      const state = this.#state;
      if (state === null) return refused('no-generation', 'no generation was begun');
      if (this.#copied) return this.#refusedAsCopy();
      if (state.generation !== generation)
        return refused('other-generation', `asked for generation ${generation}, this is ${state.generation}`);
      if (state.key.name !== origin)
        return refused('other-origin', `asked for ${origin}, this is ${state.key.name}`);
      if (size < state.range.size)
        return refused('shrink', `asked for ${size} leaves, the last head has ${state.range.size}`);
      if (size === state.range.size) {
        if (equalBytes(root, state.range.root())) return (await this.#rolledBack(state)) ?? this.#sign();
        return refused('fork', `another root for ${size} leaves was signed`);
      }
      const behind = await this.#rolledBack(state);
      if (behind !== null) return behind;
      const range = state.range.copy();
      // A generation that follows another one says so before anything else.
      let genesisDue = range.size === 0 && state.previous !== null;
      try {
        for await (const entry of this.#reader(generation).entries(range.size, size, size)) {
          if (genesisDue) {
            if (isGenesisAfter(entry, state)) genesisDue = false;
            else if (range.size + 1 >= openingLeavesMax) break;
          }
          range.append(leafHash(entry));
        }
      } catch (error) {
        if (!(error instanceof FengniError)) throw error;
        return refused('entries-unreadable', error.message);
      }
      if (genesisDue)
        return refused(
          'no-genesis-leaf',
          `generation ${generation} does not name the last head of the one before`,
        );
      if (!equalBytes(range.root(), root))
        return refused('root-mismatch', `the entries do not give the root asked for at ${size} leaves`);
      await this.#persist({ ...state, range });
      return this.#sign();
    });
  }

  /**
   * Makes the key of a later generation, where the sealer's side permits it. In a rotation the leaf `handover` of the present generation
   * must name it; nothing is signed with it before `handover`. The same call again gives the same key.
   */
  prepare(request: NextGeneration): Promise<PrepareOutcome> {
    return this.#next(async () => {
      if (this.#copied && !request.acceptLoss) return this.#refusedAsCopy();
      const wrong = await this.#mayBegin(request);
      if (wrong !== null) return wrong;
      const signer = await this.#newKey(request.generation, request.origin, !this.#copied);
      return { kind: 'prepared', key: encodeVerifierKey(signer), previous: await this.#lastHead() };
    });
  }

  /**
   * Ends the present generation and begins a later one, whose head of no leaves it signs. The key of the old one is destroyed.
   *
   * With `acceptLoss` it does so although the last head does not end with the leaf `handover`: the log was cut, the memory was put back,
   * the folder is a copy. Either way the sealer's side must have permitted it.
   */
  handover(request: NextGeneration): Promise<SealerOutcome> {
    return this.#next(async () => {
      const { generation, origin, acceptLoss } = request;
      const state = this.#state;
      if (state === null) return refused('no-generation', 'no generation was begun');
      if (state.generation === generation && state.key.name === origin && !this.#copied) return this.#sign();
      if (this.#copied && !acceptLoss) return this.#refusedAsCopy();
      const wrong = await this.#mayBegin(request);
      if (wrong !== null) return wrong;
      if (!acceptLoss) {
        const behind = await this.#rolledBack(state);
        if (behind !== null) return behind;
      }
      // a copy may have brought the next key along: two folders never share one
      const signer = await this.#newKey(generation, origin, !this.#copied);
      if (!acceptLoss && !(await this.#endsWithHandover(state, signer)))
        return refused('no-handover-leaf', `generation ${state.generation} does not end with the next key`);
      await this.#begin(generation, signer, await this.#lastHead());
      return this.#sign();
    });
  }

  /** The last head of the generation before the present one: what its genesis leaf names. */
  get previous(): Checkpoint | null {
    return this.#state?.previous ?? null;
  }

  #reader(generation: number): LedgerReader {
    const { io, ledgerIo, ledgerFolder } = this.#options;
    return new LedgerReader(ledgerIo ?? io, ledgerFolder(generation));
  }

  /** Why a generation may not begin now, or null. */
  async #mayBegin({ generation, origin, acceptLoss }: NextGeneration): Promise<Refused | null> {
    const { io, folder } = this.#options;
    const state = this.#state;
    const after = state?.generation ?? 0;
    if (generation <= after) return refused('generation-used', `generation ${after} was begun`);
    if (!isOriginOf(origin, generation)) return refused('other-origin', `${origin} is no origin of it`);
    // The log's name stays; and nobody uses up the numbers of generations.
    if (state !== null && !sameLog(origin, state.key.name))
      return refused('other-origin', `asked for ${origin}, this is ${state.key.name}`);
    if (generation > after + (acceptLoss ? generationStepMax : 1))
      return refused('other-generation', `generation ${generation} does not follow ${after}`);
    const known = (await io.stat(`${folder}/${allowanceFile}`)) !== null;
    // The first generation of a folder that was never used: there is nothing yet that could be forked.
    if (state === null && generation === 1 && !known) return null;
    // A memory that was lost had a first generation: nobody gets a second key for it.
    if (state === null && generation === 1)
      return refused('not-allowed', 'the first generation of this log is over');
    const kind: AllowanceKind = acceptLoss ? 'new-generation' : 'rotation';
    const allowed = known ? parseAllowance(await io.readFile(`${folder}/${allowanceFile}`)) : null;
    if (allowed?.kind === kind && allowed.after === after && io.clock.nowMs() <= allowed.untilMs) return null;
    return refused('not-allowed', `nobody permitted it: "fengni sealer allow ${kind}"`);
  }

  /**
   * The head in the ledger folder when it bears our signature. It is behind our own state, or equal, unless that state was
   * put back to an older one: then we cannot know what else was signed since.
   */
  async #publishedHead(state: SealerState): Promise<Checkpoint | null> {
    try {
      const octets = await this.#reader(state.generation).readCheckpoint();
      if (octets === null || this.#signer === null) return null;
      const head = parseCheckpoint(octets);
      const own = head.origin === this.#signer.name && verifyNote(head.note, this.#signer).kind === 'signed';
      return own ? { origin: head.origin, size: head.size, root: head.root } : null;
    } catch (error) {
      if (error instanceof FengniError) return null;
      throw error;
    }
  }

  async #rolledBack(state: SealerState): Promise<Refused | null> {
    const known = await this.#publishedHead(state);
    const { size } = state.range;
    if (known === null || known.size < size) return null;
    if (known.size > size)
      return refused(
        'rolled-back',
        `a head of ${known.size} leaves was signed, this folder remembers ${size}`,
      );
    return equalBytes(known.root, state.range.root())
      ? null
      : refused('fork', `another root for ${size} leaves was signed`);
  }

  /** The last head of the present generation that is known to be signed. */
  async #lastHead(): Promise<Checkpoint | null> {
    const state = this.#state;
    if (state === null) return null;
    const own = { origin: state.key.name, size: state.range.size, root: state.range.root() };
    const published = await this.#publishedHead(state);
    return published !== null && published.size > own.size ? published : own;
  }

  #sign(): SealerOutcome {
    const state = this.#state;
    const signer = this.#signer;
    assert(state !== null && signer !== null && !this.#copied);
    assert.equal(encodeVerifierKey(signer), encodeVerifierKey(state.key));
    const head = { origin: state.key.name, size: state.range.size, root: state.range.root() };
    const note = signCheckpoint(head, [signer]);
    return {
      kind: 'signed',
      head: { ...head, generation: state.generation, key: encodeVerifierKey(state.key), note },
    };
  }

  #refusedAsCopy(): Refused {
    return refused('copied', `${this.#options.folder} is a copy of the folder that it was made in`);
  }

  #newKey(generation: number, origin: string, keep: boolean): Promise<SignerKey> {
    const { io, folder } = this.#options;
    return provisionalKey(io, folder, generation, origin, keep);
  }

  /** The state names the key before the key gets its name, so that a key with its name always has a state. */
  async #begin(generation: number, signer: SignerKey, previous: Checkpoint | null): Promise<void> {
    const { io, folder } = this.#options;
    const stat = await io.stat(folder);
    assert(stat !== null);
    const { seed: _, ...key } = signer;
    await this.#persist({
      folder: markOf(stat),
      generation,
      key,
      range: new CompactRange(),
      previous,
    });
    this.#signer = signer;
    this.#copied = false;
    await io.rename(`${folder}/g${generation}.key.new`, `${folder}/g${generation}.key`);
    await io.syncFolder(folder);
    await removeOldKeys(io, folder, generation);
    // It is void by now; that it is gone too is for the eye.
    if ((await io.stat(`${folder}/${allowanceFile}`)) !== null) await io.remove(`${folder}/${allowanceFile}`);
  }

  async #persist(state: SealerState): Promise<void> {
    await replaceFileDurable(this.#options.io, `${this.#options.folder}/state`, [encodeState(state)]);
    this.#state = state;
  }

  async #endsWithHandover(state: SealerState, next: SignerKey): Promise<boolean> {
    const { size } = state.range;
    if (size === 0) return false;
    const reader = this.#reader(state.generation);
    try {
      for await (const entry of reader.entries(size - 1, size, size)) {
        const leaf = parseLeaf(entry);
        // the entry is the one that was sealed, whatever lies in the tile now
        await reader.inclusion(size - 1, entry, { size, root: state.range.root() });
        return leaf.kind === 'handover' && leaf.key === encodeVerifierKey(next);
      }
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
    }
    return false;
  }

  /** One call after the other; after an error of the disk none until the folder is opened again. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(async () => {
      if (this.#failed)
        throw new FengniError('sealer-unusable', {
          subject: this.#options.folder,
          remedy: 'start the sealer again: an earlier write failed',
        });
      try {
        return await work();
      } catch (error) {
        this.#failed = true;
        throw error;
      }
    });
    this.#queue = done.catch(() => {});
    return done;
  }
}

const refused = (reason: SealerRefusal, detail: string): Refused => ({ kind: 'refused', reason, detail });

/** leaves of a generation among which the genesis must be: behind a gap and the leaf of a closed segment */
const openingLeavesMax = 3;
/** how far beyond its own a generation may lie after a loss: heads of some in between may be known to others */
const generationStepMax = 100;

const isOriginOf = (origin: string, generation: number): boolean =>
  parseOrigin(origin)?.generation === generation;

const sameLog = (origin: string, other: string): boolean => {
  const [a, b] = [parseOrigin(origin), parseOrigin(other)];
  return a !== null && b !== null && a.hostname === b.hostname && a.shard === b.shard;
};

/**
 * Whether an entry is the genesis leaf that this generation must have. Where generations in between are unknown to this folder, a later
 * one may be named: a memory that was lost or put back cannot tell.
 */
const isGenesisAfter = (entry: Uint8Array, { generation, previous }: SealerState): boolean => {
  let leaf: ReturnType<typeof parseLeaf>;
  try {
    leaf = parseLeaf(entry);
  } catch {
    return false;
  }
  if (leaf.kind !== 'genesis' || leaf.previous === null || previous === null) return false;
  const { origin, size, root } = leaf.previous;
  if (origin === previous.origin) return size === previous.size && equalBytes(root, previous.root);
  const named = parseOrigin(origin)?.generation ?? 0;
  return (
    sameLog(origin, previous.origin) &&
    named > (parseOrigin(previous.origin)?.generation ?? 0) &&
    named < generation
  );
};

/** What signed an earlier generation signs nothing more: its key is destroyed. */
const removeOldKeys = async (io: Io, folder: string, generation: number): Promise<void> => {
  let removed = false;
  for (const name of await io.readFolder(folder)) {
    const of = Number(/^g(\d+)\.key(?:\.new)?$/.exec(name)?.[1] ?? Number.NaN);
    if (!(of < generation)) continue;
    await io.remove(`${folder}/${name}`);
    removed = true;
  }
  if (removed) await io.syncFolder(folder);
};

const readSigner = async (
  options: SealerOptions,
  state: SealerState,
  names: readonly string[],
): Promise<SignerKey> => {
  const { io, folder } = options;
  const name = `g${state.generation}.key`;
  for (const file of [name, `${name}.new`]) {
    if (!names.includes(file)) continue;
    const key = parseKeyFile(await io.readFile(`${folder}/${file}`));
    if (key === null || encodeVerifierKey(key) !== encodeVerifierKey(state.key)) continue;
    if (file !== name) {
      // the power went between state and name
      await io.rename(`${folder}/${file}`, `${folder}/${name}`);
      await io.syncFolder(folder);
    }
    return key;
  }
  throw new FengniError('sealer-key-lost', {
    subject: `${folder}/${name}`,
    remedy: 'the key of this generation is gone: begin a new one with "fengni log new-generation"',
  });
};
