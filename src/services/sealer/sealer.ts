import assert from 'node:assert/strict';
import { equalBytes, utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type Io, replaceFileDurable } from '#store/durable';
import { LedgerReader } from '#store/ledger';
import {
  type Checkpoint,
  CompactRange,
  encodeSignerKey,
  encodeVerifierKey,
  leafHash,
  parseCheckpoint,
  parseLeaf,
  parseOrigin,
  parseSignerKey,
  type SignerKey,
  signCheckpoint,
  signerKey,
  verifyNote,
} from '#trust/seal';
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
  | 'generation-used';

interface Refused {
  readonly kind: 'refused';
  readonly reason: SealerRefusal;
  readonly detail: string;
}

export type SealerOutcome = { readonly kind: 'signed'; readonly head: SealerHead } | Refused;

export interface SealerOptions {
  readonly io: Io;
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
    const signer = await readSigner(options, state, names);
    const stat = await io.stat(folder);
    return new Sealer(options, state, signer, stat === null || !sameFolder(markOf(stat), state.folder));
  }

  /** The last head, signed; of no leaves when a generation has just begun; null before the first generation. */
  head(): Promise<SealerOutcome> {
    return this.#next(async () => {
      if (this.#state === null) return refused('no-generation', 'no generation was begun');
      if (this.#copied) return this.#refusedAsCopy();
      return this.#sign();
    });
  }

  /**
   * Begins the first generation that this folder knows.
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
      if (!isOriginOf(origin, generation)) return refused('other-origin', `${origin} is no origin of it`);
      const signer = await this.#newKey(generation, origin, false);
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
        if (equalBytes(root, state.range.root())) return this.#sign();
        return refused('fork', `another root for ${size} leaves was signed`);
      }
      const range = state.range.copy();
      const reader = this.#reader(generation);
      try {
        const known = await this.#publishedHead(reader);
        if (known !== null && known.size > size)
          return refused('shrink', `asked for ${size} leaves, a head of ${known.size} was signed`);
        for await (const entry of reader.entries(range.size, size, size)) {
          range.append(leafHash(entry));
          if (range.size === known?.size && !equalBytes(range.root(), known.root))
            return refused('fork', `another root for ${known.size} leaves was signed`);
        }
      } catch (error) {
        if (!(error instanceof FengniError)) throw error;
        return refused('entries-unreadable', error.message);
      }
      if (!equalBytes(range.root(), root))
        return refused('root-mismatch', `the entries do not give the root asked for at ${size} leaves`);
      await this.#persist({ ...state, range });
      return this.#sign();
    });
  }

  /**
   * Makes the key of a later generation, which the leaf `handover` of the present one must name; nothing is signed with it
   * before `handover`. The same call again gives the same key.
   *
   * @returns the verifier key
   */
  prepare(request: {
    generation: number;
    origin: string;
  }): Promise<{ kind: 'prepared'; key: string } | Refused> {
    return this.#next(async () => {
      if (this.#state === null) return refused('no-generation', 'no generation was begun');
      if (request.generation <= this.#state.generation)
        return refused('generation-used', `generation ${this.#state.generation} was begun`);
      if (this.#copied) return this.#refusedAsCopy();
      if (!isOriginOf(request.origin, request.generation))
        return refused('other-origin', `${request.origin} is no origin of it`);
      const signer = await this.#newKey(request.generation, request.origin, true);
      return { kind: 'prepared', key: encodeVerifierKey(signer) };
    });
  }

  /**
   * Ends the present generation and begins a later one, whose head of no leaves it signs.
   *
   * @param acceptLoss does so although the last head does not end with the leaf `handover`: the log was cut, the state of
   * another machine is used, the folder is a copy. Only a person decides that.
   */
  handover(request: { generation: number; origin: string; acceptLoss: boolean }): Promise<SealerOutcome> {
    return this.#next(async () => {
      const { generation, origin } = request;
      const state = this.#state;
      if (state === null) return refused('no-generation', 'no generation was begun');
      if (state.generation === generation && state.key.name === origin && !this.#copied) return this.#sign();
      if (generation <= state.generation)
        return refused('generation-used', `generation ${state.generation} was begun`);
      if (this.#copied && !request.acceptLoss) return this.#refusedAsCopy();
      if (!isOriginOf(origin, generation)) return refused('other-origin', `${origin} is no origin of it`);
      // a copy may have brought the next key along: two folders never share one
      const signer = await this.#newKey(generation, origin, !this.#copied);
      if (!request.acceptLoss && !(await this.#endsWithHandover(state, signer)))
        return refused('no-handover-leaf', `generation ${state.generation} does not end with the next key`);
      const last: Checkpoint = {
        origin: state.key.name,
        size: state.range.size,
        root: state.range.root(),
      };
      await this.#begin(generation, signer, last);
      return this.#sign();
    });
  }

  /** The last head of the generation before the present one: what its genesis leaf names. */
  get previous(): Checkpoint | null {
    return this.#state?.previous ?? null;
  }

  #reader(generation: number): LedgerReader {
    return new LedgerReader(this.#options.io, this.#options.ledgerFolder(generation));
  }

  /**
   * The head in the ledger folder when it bears our signature. It is behind our own state, or equal, unless that state was
   * put back to an older one: then we must not sign anything else than what we signed.
   */
  async #publishedHead(reader: LedgerReader): Promise<Checkpoint | null> {
    const octets = await reader.readCheckpoint();
    if (octets === null || this.#signer === null) return null;
    try {
      const head = parseCheckpoint(octets);
      const own = head.origin === this.#signer.name && verifyNote(head.note, this.#signer).kind === 'signed';
      return own ? head : null;
    } catch {
      return null;
    }
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

  /** A fresh key under its provisional name. */
  async #newKey(generation: number, origin: string, keep: boolean): Promise<SignerKey> {
    const { io, folder } = this.#options;
    const path = `${folder}/g${generation}.key.new`;
    if (keep && (await io.stat(path)) !== null) {
      const known = parseKeyFileOf(await io.readFile(path));
      if (known?.name === origin) return known;
    }
    const key = signerKey(origin, io.random(32));
    await replaceFileDurable(io, path, [utf8(`${encodeSignerKey(key)}\n`)]);
    return key;
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

const isOriginOf = (origin: string, generation: number): boolean =>
  parseOrigin(origin)?.generation === generation;

const readSigner = async (
  options: SealerOptions,
  state: SealerState,
  names: readonly string[],
): Promise<SignerKey> => {
  const { io, folder } = options;
  const name = `g${state.generation}.key`;
  for (const file of [name, `${name}.new`]) {
    if (!names.includes(file)) continue;
    const key = parseKeyFileOf(await io.readFile(`${folder}/${file}`));
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

/** The key in a key file, null when it is none; the text never appears in an error. */
const parseKeyFileOf = (octets: Uint8Array): SignerKey | null => {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8');
  try {
    return text.endsWith('\n') ? parseSignerKey(text.slice(0, -1)) : null;
  } catch {
    return null;
  }
};
