import type { Clock, Random } from '#base/clock';
import { FengniError } from '#base/errors';
import type { FileStat, Io, IoFile, OpenHow } from './io.ts';
import { ioError, poisonedError } from './io-error.ts';

export type SimOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'data-sync'
  | 'sync'
  | 'truncate'
  | 'size'
  | 'close'
  | 'read-folder'
  | 'make-folder'
  | 'rename'
  | 'remove'
  | 'stat'
  | 'sync-folder';

export interface SimCall {
  /** counts from 0 over the life of this SimFs */
  index: number;
  operation: SimOperation;
  path: string;
}

/** What a call meets: an error of the system, or the plug pulled while it runs. */
export type SimFault = 'EIO' | 'ENOSPC' | 'power-cut' | null;

export interface SimFsOptions {
  seed: number;
  /** decides for each call; null lets it pass */
  fault?: (call: SimCall) => SimFault;
  /** octets that all files together may hold */
  capacityBytes?: number;
  /** what a read sees of pages whose write-back failed: ext4 and XFS keep showing them, others fall back to the disk */
  afterFailedSync?: 'cache' | 'disk';
}

const sectorBytes = 512;

/**
 * A machine in memory whose power can be cut: page cache and disk are two things.
 *
 * Its rules, none kinder than ext4's:
 * - a write reaches the cache; each 512-octet sector reaches the disk whole, at any time and in any order, at the latest with a sync of its file that started after the write ended;
 * - after a cut each sector never synced holds what was there before, any version written since, and where the file had not been that long zeros or garbage; a file whose growth was not synced may have any of its lengths, or be padded to a page with garbage;
 * - a name made, renamed or removed is durable only after a sync of its folder; without it any subset of such changes survives; a sync of the file alone does not name it;
 * - a write to a file opened `create-new-synced` is followed by a data sync before it resolves;
 * - a sync that fails drops the dirty pages: they stay readable (or fall back to the disk) and no later sync writes them;
 * - after `power-cut` every call fails; `cutPower` tells what survived, as a new machine.
 *
 * Everything follows from the seed and the order of the calls.
 */
export class SimFs implements Io {
  readonly clock: Clock;
  readonly random: Random;
  readonly #root: Folder;
  readonly #options: SimFsOptions;
  readonly #numbers: () => number;
  #nowMs: number;
  #calls = 0;
  #off = false;
  #nextInode: number;

  constructor(options: SimFsOptions, from?: SimState) {
    this.#options = options;
    this.#numbers = randomNumbers(options.seed);
    this.#root = from?.root ?? {
      kind: 'folder',
      inode: 1,
      entries: new Map(),
      onDisk: new Map(),
      pending: [],
      birthMs: 0,
    };
    this.#nextInode = from?.nextInode ?? 2;
    this.#nowMs = from?.nowMs ?? 1_700_000_000_000;
    this.clock = { nowMs: () => this.#nowMs, monotonicMs: () => this.#nowMs };
    this.random = (lengthBytes) => {
      const octets = new Uint8Array(lengthBytes);
      for (let at = 0; at < lengthBytes; at++) octets[at] = this.#numbers() & 255;
      return octets;
    };
  }

  /** calls so far */
  get calls(): number {
    return this.#calls;
  }

  get isOff(): boolean {
    return this.#off;
  }

  /** Lets time pass. */
  advance(milliseconds: number): void {
    this.#nowMs += milliseconds;
  }

  /** Pulls the plug: every call from now on, also the ones under way, fails. @returns the machine after it was switched on again */
  cutPower(options: SimFsOptions): SimFs {
    this.#off = true;
    return this.wouldSurvive(options);
  }

  /** What a cut at this moment would leave, as a machine of its own; this one goes on. */
  wouldSurvive(options: SimFsOptions): SimFs {
    const survivor = survivingFolder(this.#root, randomNumbers(options.seed ^ 0x5eed), new Map());
    return new SimFs(options, { root: survivor, nextInode: this.#nextInode, nowMs: this.#nowMs + 60_000 });
  }

  /** Ends the process alone (`kill -9`): open files are gone, the page cache and what is not yet durable stay. */
  killProcess(options: SimFsOptions): SimFs {
    this.#off = true;
    const copy = copyFolder(this.#root, new Map());
    return new SimFs(options, { root: copy, nextInode: this.#nextInode, nowMs: this.#nowMs + 1_000 });
  }

  async open(path: string, how: OpenHow): Promise<IoFile> {
    await this.#call('open', path);
    const { folder, name } = this.#locate('open', path);
    let node = folder.entries.get(name);
    if (node?.kind === 'folder') throw ioError('open', path, 'EISDIR');
    if (node !== undefined && (how === 'create-new' || how === 'create-new-synced'))
      throw ioError('open', path, 'EEXIST');
    if (node === undefined) {
      if (how === 'read' || how === 'write') throw ioError('open', path, 'ENOENT');
      node = newFile(this.#nextInode++, this.#nowMs);
      link(folder, name, node);
    }
    return this.#handle(path, node, how === 'create-new-synced');
  }

  async readFile(path: string): Promise<Uint8Array> {
    const file = await this.open(path, 'read');
    const octets = new Uint8Array(await file.size());
    await file.read(octets, 0);
    await file.close();
    return octets;
  }

  async readFolder(path: string): Promise<string[]> {
    await this.#call('read-folder', path);
    return [...this.#folder('read folder', path).entries.keys()].sort();
  }

  async makeFolder(path: string): Promise<void> {
    await this.#call('make-folder', path);
    const { folder, name } = this.#locate('make folder', path);
    const known = folder.entries.get(name);
    if (known?.kind === 'folder') return;
    if (known !== undefined) throw ioError('make folder', path, 'EEXIST');
    link(folder, name, {
      kind: 'folder',
      inode: this.#nextInode++,
      entries: new Map(),
      onDisk: new Map(),
      pending: [],
      birthMs: this.#nowMs,
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', from, () => this.#rename(from, to));
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path, () => {
      const { folder, name } = this.#locate('remove', path);
      if (folder.entries.get(name)?.kind !== 'file') throw ioError('remove', path, 'ENOENT');
      folder.entries.delete(name);
      folder.pending.push([[name, null]]);
    });
  }

  async stat(path: string): Promise<FileStat | null> {
    await this.#call('stat', path);
    const node = this.#find(path);
    if (node === null) return null;
    return {
      kind: node.kind,
      size: node.kind === 'file' ? node.size : 0,
      inode: node.inode,
      birthMs: node.birthMs,
    };
  }

  async syncFolder(path: string): Promise<void> {
    const folder = this.#folder('sync folder', path);
    const covered = folder.pending.length;
    await this.#call('sync-folder', path);
    for (const change of folder.pending.splice(0, covered)) applyChange(folder.onDisk, change);
  }

  /** Changes octets on the disk and in the cache, as a failing disk or an intruder does: no trace is left. */
  tamper(path: string, change: (octets: Uint8Array) => Uint8Array): void {
    const node = this.#find(path);
    if (node?.kind !== 'file') throw ioError('tamper', path, 'ENOENT');
    const octets = change(node.cache.slice(0, node.size));
    node.cache = octets;
    node.size = octets.length;
    node.disk = new Map();
    forSectors(0, octets.length, (sector) => {
      node.disk.set(sector, sectorOf(octets, octets.length, sector));
    });
    node.diskSize = octets.length;
    node.pending = new Map();
    node.pendingSizes = [];
  }

  /** The files under a folder with what a process would read now; makes no call. */
  contents(path = '/'): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    const walk = (folder: Folder, prefix: string): void => {
      for (const [name, node] of folder.entries) {
        if (node.kind === 'folder') walk(node, `${prefix}${name}/`);
        else files.set(`${prefix}${name}`, node.cache.slice(0, node.size));
      }
    };
    const start = this.#find(path);
    if (start?.kind === 'folder') walk(start, path.endsWith('/') ? path : `${path}/`);
    return files;
  }

  #rename(from: string, to: string): void {
    const source = this.#locate('rename', from);
    const target = this.#locate('rename', to);
    const node = source.folder.entries.get(source.name);
    if (node === undefined) throw ioError('rename', from, 'ENOENT');
    if (target.folder.entries.get(target.name)?.kind === 'folder') throw ioError('rename', to, 'EISDIR');
    source.folder.entries.delete(source.name);
    target.folder.entries.set(target.name, node);
    if (source.folder === target.folder) {
      source.folder.pending.push([
        [source.name, null],
        [target.name, node],
      ]);
    } else {
      source.folder.pending.push([[source.name, null]]);
      target.folder.pending.push([[target.name, node]]);
    }
  }

  #handle(path: string, node: File, isSynced: boolean): IoFile {
    let poisoned = false;
    let closed = false;
    const usable = (operation: string): void => {
      if (closed) throw ioError(operation, path, 'EBADF');
    };
    const sync = async (operation: SimOperation): Promise<void> => {
      usable('sync');
      if (poisoned) throw poisonedError(path);
      const covered = new Map([...node.pending].map(([sector, versions]) => [sector, versions.length]));
      const sizes = node.pendingSizes.length;
      try {
        await this.#call(operation, path);
      } catch (error) {
        if (!this.#off) {
          poisoned = true;
          dropDirty(node, this.#options.afterFailedSync ?? 'cache');
        }
        throw error;
      }
      if (poisoned) throw poisonedError(path);
      writeBack(node, covered, sizes);
    };
    return {
      read: async (into, position) => {
        usable('read');
        await this.#call('read', path);
        const length = Math.max(0, Math.min(into.length, node.size - position));
        into.set(node.cache.subarray(position, position + length));
        return length;
      },
      write: async (pieces, position) => {
        usable('write');
        if (poisoned) throw poisonedError(path);
        await this.#call(
          'write',
          path,
          () => this.#write(path, node, pieces, position),
          () => {
            // A write that fails has written a part: none to all of it.
            const written = Math.floor(fraction(this.#numbers()) * lengthOf(pieces));
            const part = partOf(pieces, position, written);
            writeCache(node, part, position);
          },
        );
        // A write that syncs is two things: octets in the cache, and then all of them on the disk.
        if (isSynced) await sync('data-sync');
      },
      dataSync: () => sync('data-sync'),
      sync: () => sync('sync'),
      truncate: async (size) => {
        usable('truncate');
        await this.#call('truncate', path, () => truncateCache(node, size));
      },
      size: async () => {
        usable('size');
        await this.#call('size', path);
        return node.size;
      },
      close: async () => {
        if (closed) return;
        closed = true;
        await this.#call('close', path);
      },
    };
  }

  #write(path: string, node: File, pieces: readonly Uint8Array[], position: number): void {
    const length = lengthOf(pieces);
    const capacity = this.#options.capacityBytes ?? Number.POSITIVE_INFINITY;
    const room = capacity - this.#used() + Math.max(0, node.size - position);
    if (length <= room) {
      writeCache(node, pieces, position);
      return;
    }
    const part = partOf(pieces, position, Math.max(0, room));
    writeCache(node, part, position);
    throw ioError('write', path, 'ENOSPC');
  }

  #used(): number {
    let used = 0;
    const seen = new Set<File>();
    const walk = (folder: Folder): void => {
      for (const node of folder.entries.values()) {
        if (node.kind === 'folder') walk(node);
        else if (!seen.has(node)) {
          seen.add(node);
          used += node.size;
        }
      }
    };
    walk(this.#root);
    return used;
  }

  /**
   * One call: time passes, others run, then it takes effect. A cut while it runs still lets a write, rename or remove
   * begin (`effect`), never a sync end.
   */
  async #call(
    operation: SimOperation,
    path: string,
    effect: () => void = () => {},
    partEffect: () => void = () => {},
  ): Promise<void> {
    if (this.#off) throw powerCutError(path);
    const call: SimCall = { index: this.#calls++, operation, path };
    this.#nowMs += 1;
    const fault = this.#options.fault?.(call) ?? null;
    if (fault === 'power-cut') {
      effect();
      this.#off = true;
      throw powerCutError(path);
    }
    if (fault !== null) {
      partEffect();
      throw ioError(operation, path, fault);
    }
    // Other calls may come in between, as they do on a thread pool.
    for (let turns = this.#numbers() & 3; turns > 0; turns--) await null;
    if (this.#off) {
      effect();
      throw powerCutError(path);
    }
    effect();
  }

  #find(path: string): Node | null {
    let node: Node = this.#root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      const next: Node | undefined = node.kind === 'folder' ? node.entries.get(name) : undefined;
      if (next === undefined) return null;
      node = next;
    }
    return node;
  }

  #folder(operation: string, path: string): Folder {
    const node = this.#find(path);
    if (node === null) throw ioError(operation, path, 'ENOENT');
    if (node.kind !== 'folder') throw ioError(operation, path, 'ENOTDIR');
    return node;
  }

  #locate(operation: string, path: string): { folder: Folder; name: string } {
    const cut = path.lastIndexOf('/');
    const name = path.slice(cut + 1);
    if (name === '') throw ioError(operation, path, 'EISDIR');
    return { folder: this.#folder(operation, path.slice(0, Math.max(cut, 0))), name };
  }
}

/** What every call meets once the power is cut. */
export const isPowerCut = (error: unknown): boolean =>
  error instanceof FengniError && (error.code === 'power-cut' || isPowerCut(error.cause));

const powerCutError = (path: string): FengniError =>
  new FengniError('power-cut', { subject: path, remedy: 'switch the simulated machine on again' });

interface File {
  kind: 'file';
  inode: number;
  birthMs: number;
  /** what a process reads: the first `size` octets */
  cache: Uint8Array;
  size: number;
  /** what is durable; a sector that is not there is zeros */
  disk: Map<number, Uint8Array>;
  diskSize: number;
  /** versions of each sector written since it was last synced, oldest first */
  pending: Map<number, Uint8Array[]>;
  pendingSizes: number[];
}

type Change = readonly (readonly [name: string, node: Node | null])[];

interface Folder {
  kind: 'folder';
  inode: number;
  birthMs: number;
  entries: Map<string, Node>;
  onDisk: Map<string, Node>;
  /** changes of names not yet synced; one rename is one change */
  pending: Change[];
}

type Node = File | Folder;

interface SimState {
  root: Folder;
  nextInode: number;
  nowMs: number;
}

const newFile = (inode: number, birthMs: number): File => ({
  kind: 'file',
  inode,
  birthMs,
  cache: new Uint8Array(0),
  size: 0,
  disk: new Map(),
  diskSize: 0,
  pending: new Map(),
  pendingSizes: [],
});

const link = (folder: Folder, name: string, node: Node): void => {
  folder.entries.set(name, node);
  folder.pending.push([[name, node]]);
};

const applyChange = (names: Map<string, Node>, change: Change): void => {
  for (const [name, node] of change) {
    if (node === null) names.delete(name);
    else names.set(name, node);
  }
};

const lengthOf = (pieces: readonly Uint8Array[]): number =>
  pieces.reduce((sum, piece) => sum + piece.length, 0);

/** The first `lengthBytes` of the pieces, cut where a sector of the file ends: a sector is written whole or not at all. */
const partOf = (pieces: readonly Uint8Array[], position: number, lengthBytes: number): Uint8Array[] => {
  const end = Math.floor((position + lengthBytes) / sectorBytes) * sectorBytes;
  let rest = lengthBytes >= lengthOf(pieces) ? lengthBytes : Math.max(0, end - position);
  return pieces.map((piece) => {
    const kept = piece.subarray(0, rest);
    rest -= kept.length;
    return kept;
  });
};

const writeCache = (node: File, pieces: readonly Uint8Array[], position: number): void => {
  const length = lengthOf(pieces);
  if (length === 0) return;
  const end = position + length;
  reserve(node, end);
  let at = position;
  for (const piece of pieces) {
    node.cache.set(piece, at);
    at += piece.length;
  }
  const start = Math.min(position, node.size);
  if (end > node.size) {
    node.size = end;
    node.pendingSizes.push(end);
  }
  markDirty(node, start, end);
};

const truncateCache = (node: File, size: number): void => {
  reserve(node, size);
  const before = node.size;
  node.cache.fill(0, size);
  node.size = size;
  node.pendingSizes.push(size);
  markDirty(node, Math.min(before, size), Math.max(before, size));
};

const reserve = (node: File, size: number): void => {
  if (size <= node.cache.length) return;
  const larger = new Uint8Array(Math.max(size, node.cache.length * 2, 4096));
  larger.set(node.cache.subarray(0, node.size));
  node.cache = larger;
};

const markDirty = (node: File, start: number, end: number): void => {
  forSectors(start, end, (sector) => {
    const versions = node.pending.get(sector);
    const version = sectorOf(node.cache, node.cache.length, sector);
    if (versions === undefined) node.pending.set(sector, [version]);
    else versions.push(version);
  });
};

const forSectors = (start: number, end: number, visit: (sector: number) => void): void => {
  for (let sector = Math.floor(start / sectorBytes); sector * sectorBytes < end; sector++) visit(sector);
};

const sectorOf = (octets: Uint8Array, size: number, sector: number): Uint8Array => {
  const content = new Uint8Array(sectorBytes);
  content.set(octets.subarray(sector * sectorBytes, Math.min(size, (sector + 1) * sectorBytes)));
  return content;
};

const writeBack = (node: File, covered: ReadonlyMap<number, number>, sizes: number): void => {
  for (const [sector, count] of covered) {
    const versions = node.pending.get(sector);
    const last = versions?.[count - 1];
    if (versions === undefined || last === undefined) continue;
    node.disk.set(sector, last);
    if (versions.length === count) node.pending.delete(sector);
    else node.pending.set(sector, versions.slice(count));
  }
  const size = node.pendingSizes[sizes - 1];
  if (size !== undefined) node.diskSize = size;
  node.pendingSizes.splice(0, sizes);
};

const dropDirty = (node: File, afterwards: 'cache' | 'disk'): void => {
  for (const sector of node.pending.keys()) {
    if (afterwards === 'disk') {
      const onDisk = node.disk.get(sector) ?? new Uint8Array(sectorBytes);
      const room = node.cache.length - sector * sectorBytes;
      node.cache.set(onDisk.subarray(0, Math.max(0, Math.min(sectorBytes, room))), sector * sectorBytes);
    }
  }
  node.pending.clear();
};

const survivingFile = (node: File, numbers: () => number): File => {
  const mode = numbers() % 4;
  const sizes = [node.diskSize, ...node.pendingSizes];
  let size =
    mode === 0
      ? node.diskSize
      : mode === 1
        ? node.size
        : (sizes[Math.floor(fraction(numbers()) * sizes.length)] ?? node.diskSize);
  const grown = size > node.diskSize;
  if (grown && numbers() % 4 === 0) size = Math.ceil(size / 4096) * 4096;
  const garbage = numbers() % 2 === 0;
  const after = newFile(node.inode, node.birthMs);
  after.cache = new Uint8Array(size);
  after.size = size;
  after.diskSize = size;
  forSectors(0, size, (sector) => {
    const versions = node.pending.get(sector) ?? [];
    const known = node.disk.get(sector);
    // Mode 2 loses a sector here and there: the tears that are hardest to see.
    const last = mode === 1 || (mode === 2 && numbers() % 16 !== 0);
    const choices: (Uint8Array | undefined)[] = last
      ? versions.slice(-1)
      : mode === 0
        ? [known]
        : [known, ...versions];
    let content = choices.length === 0 ? known : choices[Math.floor(fraction(numbers()) * choices.length)];
    if (content === undefined) {
      content = new Uint8Array(sectorBytes);
      const neverOnDisk = sector * sectorBytes >= node.diskSize;
      if (neverOnDisk && garbage) for (let at = 0; at < sectorBytes; at++) content[at] = numbers() & 255;
    }
    after.disk.set(sector, content.slice());
    after.cache.set(
      content.subarray(0, Math.min(sectorBytes, size - sector * sectorBytes)),
      sector * sectorBytes,
    );
  });
  return after;
};

const survivingFolder = (node: Folder, numbers: () => number, seen: Map<Node, Node>): Folder => {
  const names = new Map(node.onDisk);
  const mode = numbers() % 4;
  const prefix = Math.floor(fraction(numbers()) * (node.pending.length + 1));
  node.pending.forEach((change, at) => {
    const survives = mode === 0 ? false : mode === 1 ? true : mode === 2 ? at < prefix : numbers() % 2 === 0;
    if (survives) applyChange(names, change);
  });
  const entries = new Map<string, Node>();
  for (const [name, child] of names) {
    const copy =
      seen.get(child) ??
      (child.kind === 'file' ? survivingFile(child, numbers) : survivingFolder(child, numbers, seen));
    seen.set(child, copy);
    entries.set(name, copy);
  }
  return { ...node, entries, onDisk: new Map(entries), pending: [] };
};

const copyNode = (node: Node, seen: Map<Node, Node>): Node => {
  const known = seen.get(node);
  if (known !== undefined) return known;
  const copy = node.kind === 'folder' ? copyFolder(node, seen) : copyFile(node);
  seen.set(node, copy);
  return copy;
};

const copyFile = (node: File): File => ({
  ...node,
  cache: node.cache.slice(),
  disk: new Map(node.disk),
  pending: new Map([...node.pending].map(([sector, versions]) => [sector, [...versions]])),
  pendingSizes: [...node.pendingSizes],
});

const copyFolder = (node: Folder, seen: Map<Node, Node>): Folder => {
  const copyNames = (names: Map<string, Node>): Map<string, Node> =>
    new Map([...names].map(([name, child]) => [name, copyNode(child, seen)]));
  return {
    ...node,
    entries: copyNames(node.entries),
    onDisk: copyNames(node.onDisk),
    pending: node.pending.map((change) =>
      change.map(([name, child]) => [name, child === null ? null : copyNode(child, seen)] as const),
    ),
  };
};

const fraction = (number: number): number => number / 2 ** 32;

/** 32-bit numbers, a full-period mixer of a counter (splitmix32). */
export const randomNumbers = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
};
