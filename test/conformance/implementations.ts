import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { serialize } from 'node:v8';
import { utf8 } from '#base/bytes';
import type { Directory, MailIndex } from '#store/index';
import { createMemoryDirectory, createMemoryIndex } from '#store/memory';
import { openSqliteDirectory, openSqliteIndex } from '#store/sqlite';

export interface Projections {
  index: MailIndex;
  directory: Directory;
}

/** Where an implementation keeps the projections of one data folder. */
export interface ProjectionStore {
  /** for the one who writes; `fresh` throws away what is there */
  open(fresh: boolean): Projections;
  /** the index for another process that reads meanwhile */
  read(): MailIndex;
  /**
   * What would be found after an end right now, as a store of its own. `kill`: what was applied is there. `power`: the newest
   * transactions may be missing, as many as `lost` (0 to 1) says.
   */
  after(end: { kind: 'kill' } | { kind: 'power'; lost: number }): ProjectionStore;
  /** one of the two is lost; nothing is open */
  drop(port: 'index' | 'directory'): void;
  /** whether some reader keeps what was written since from being written back where it belongs */
  isHeldBack(): boolean;
  /** makes a reader that does; null where nothing of the kind can be. @returns what ends it */
  holdBack(): (() => void) | null;
  /** every octet that it keeps, for whoever searches it for what must be gone */
  octets(): Uint8Array[];
  /** puts it into a data folder on a real disk, where that is how it is kept; false where it is not */
  putInto(folder: string): boolean;
  /** nothing is left, and no file is open */
  discard(): void;
}

/** One implementation of every port of `#store/index`. */
export interface Implementation {
  name: string;
  create(): ProjectionStore;
}

type Entry = { port: 'index' | 'directory' } & (
  | { kind: 'clear' }
  | { kind: 'apply'; call: Parameters<MailIndex['apply']> }
);

/** The memory implementation, with a list of its transactions for a disk: without one it could not be behind, ahead or of another log. */
class MemoryStore implements ProjectionStore {
  #entries: Entry[] = [];
  #open: Projections | null = null;

  open(fresh: boolean): Projections {
    if (fresh) this.#entries = [];
    const index = createMemoryIndex();
    const directory = createMemoryDirectory();
    for (const entry of this.#entries) {
      const port = entry.port === 'index' ? index : directory;
      if (entry.kind === 'clear') port.clear();
      else port.apply(...entry.call);
    }
    this.#open = { index: this.#listed('index', index), directory: this.#listed('directory', directory) };
    return this.#open;
  }

  #listed<Port extends MailIndex | Directory>(port: Entry['port'], of: Port): Port {
    return {
      ...of,
      apply: (...call: Parameters<MailIndex['apply']>) => {
        of.apply(...call);
        this.#entries.push({ port, kind: 'apply', call });
      },
      clear: () => {
        of.clear();
        this.#entries.push({ port, kind: 'clear' });
      },
    };
  }

  read(): MailIndex {
    const { index } = this.#open ?? this.open(false);
    return { ...index, close: () => {} };
  }

  after(end: { kind: 'kill' } | { kind: 'power'; lost: number }): ProjectionStore {
    const store = new MemoryStore();
    const kept = end.kind === 'kill' ? 1 : 1 - end.lost;
    store.#entries = this.#entries.slice(0, Math.ceil(this.#entries.length * kept));
    return store;
  }

  drop(port: 'index' | 'directory'): void {
    this.#entries = this.#entries.filter((entry) => entry.port !== port);
  }

  isHeldBack(): boolean {
    return false;
  }

  holdBack(): null {
    return null;
  }

  octets(): Uint8Array[] {
    const { index, directory } = this.#open ?? this.open(false);
    const rows = index
      .messages(0, 1_000_000)
      .map(({ seq }) => serialize([index.message(seq), index.emailsOfMessage(seq)]));
    return [...rows, utf8([...index.dump(), ...directory.dump()].join('\n'))];
  }

  putInto(): boolean {
    return false;
  }

  discard(): void {
    this.#entries = [];
    this.#open = null;
  }
}

export const memory: Implementation = { name: 'memory', create: () => new MemoryStore() };

const databases = ['index.db', 'state.db'] as const;
/** What survives is said by the store itself: a disk that really syncs would cost minutes. */
const folderOfFolders = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();

class SqliteStore implements ProjectionStore {
  readonly #folder = fs.mkdtempSync(path.join(folderOfFolders, 'fengni-conformance-'));
  readonly #opened: { close(): void }[] = [];

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  open(fresh: boolean): Projections {
    this.#closeAll();
    if (fresh) for (const name of fs.readdirSync(this.#folder)) fs.rmSync(this.#file(name));
    const index = openSqliteIndex(this.#file('index.db'), { readOnly: false });
    this.#opened.push(index);
    const directory = openSqliteDirectory(this.#file('state.db'), { readOnly: false });
    this.#opened.push(directory);
    return { index, directory };
  }

  read(): MailIndex {
    const index = openSqliteIndex(this.#file('index.db'), { readOnly: true });
    this.#opened.push(index);
    return index;
  }

  after(end: { kind: 'kill' } | { kind: 'power'; lost: number }): ProjectionStore {
    const store = new SqliteStore();
    this.#copy(store.#folder);
    if (end.kind === 'power') {
      for (const name of databases) {
        // The write-ahead log is not synced with a transaction: any part of its end may be missing.
        const log = store.#file(`${name}-wal`);
        if (fs.existsSync(log)) fs.truncateSync(log, Math.floor(fs.statSync(log).size * (1 - end.lost)));
      }
    }
    return store;
  }

  #copy(folder: string): void {
    for (const name of databases)
      for (const suffix of ['', '-wal']) {
        const file = this.#file(name + suffix);
        if (fs.existsSync(file)) fs.copyFileSync(file, path.join(folder, name + suffix));
      }
  }

  drop(port: 'index' | 'directory'): void {
    const name = port === 'index' ? 'index.db' : 'state.db';
    for (const suffix of ['', '-wal', '-shm']) fs.rmSync(this.#file(name + suffix), { force: true });
  }

  isHeldBack(): boolean {
    const db = new DatabaseSync(this.#file('index.db'), { timeout: 0 });
    try {
      return db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] !== 0;
    } finally {
      db.close();
    }
  }

  holdBack(): () => void {
    const db = new DatabaseSync(this.#file('index.db'), { readOnly: true });
    db.exec('BEGIN');
    db.prepare('SELECT count(*) FROM placement').get();
    return () => db.close();
  }

  octets(): Uint8Array[] {
    return fs.readdirSync(this.#folder).map((name) => fs.readFileSync(this.#file(name)));
  }

  putInto(folder: string): boolean {
    this.#copy(folder);
    return true;
  }

  #closeAll(): void {
    for (const port of this.#opened.splice(0)) {
      try {
        port.close();
      } catch {
        // The writer has closed it itself.
      }
    }
  }

  discard(): void {
    this.#closeAll();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

export const sqlite: Implementation = { name: 'SQLite', create: () => new SqliteStore() };
