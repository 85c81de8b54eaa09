import { createHash } from 'node:crypto';
import { fromHex, hex, latin1, utf8 } from '#base/bytes';
import { canonicalJson } from '#base/canonical-json';
import { FengniError } from '#base/errors';
import { GiB, MiB } from '#base/limits';
import { type Io, type IoFile, makeFolderDurable } from '#store/durable';

/** What goes with a message that waits. */
export interface PickupEnvelope {
  /** the id that it has wherever it is handed in: octets and `msgSalt` give it */
  id: string;
  msgSalt: Uint8Array;
  /** without angle brackets; empty for `<>` */
  mailFrom: string;
  /** of MAIL, as SMTP writes them */
  parameters: readonly string[];
  recipients: readonly { address: string; notify: string | null }[];
  /** who handed it in */
  uid: number;
  timeMs: number;
}

/** Why a message was refused for good: it stays until a person does something. */
export interface HeldFor {
  code: number;
  enhanced: string;
  text: string;
  timeMs: number;
}

export interface PickupEntry {
  name: string;
  /** of the whole file */
  sizeBytes: number;
  held: HeldFor | null;
}

export type PickupContent =
  | { kind: 'entry'; envelope: PickupEnvelope; octets: Uint8Array }
  /** not what was written: its hash is another, or it is no such file */
  | { kind: 'damaged' }
  | { kind: 'gone' };

export interface Pickup {
  /**
   * Keeps a message; it is durable when this resolves.
   *
   * @returns its name here
   * @throws {FengniError} `pickup-full` (retryable), `disk-full`, or of `Io`
   */
  add(envelope: PickupEnvelope, pieces: readonly Uint8Array[]): Promise<string>;
  /** what waits, the oldest first */
  list(): Promise<PickupEntry[]>;
  read(name: string): Promise<PickupContent>;
  /** what goes with it, without its octets and so unchecked; null where it is gone or none */
  envelope(name: string): Promise<PickupEnvelope | null>;
  remove(name: string): Promise<void>;
  hold(name: string, why: HeldFor): Promise<void>;
  /** Removes what a program left that was killed while it wrote. */
  sweep(): Promise<void>;
}

/** What local programs may leave here while the server is down. */
export const pickupLimits = {
  entriesMax: 10_000,
  bytesMax: 2 * GiB,
  /** a file that is not whole and as old as this belongs to nobody any more */
  unfinishedMs: 3_600_000,
  envelopeBytesMax: MiB,
} as const;

export const pickupFolder = (folder: string): string => `${folder}/pickup`;

const magic = 'fengni/pickup1';
const mailName = /^\d{15}-[0-9a-f]{16}\.mail$/;
const unfinishedName = /^\d{15}-[0-9a-f]{16}\.new$/;

/** @param options.folder DATA */
export const createPickup = (options: {
  io: Io;
  folder: string;
  limits?: { entriesMax: number; bytesMax: number };
}): Pickup => {
  const { io, limits = pickupLimits } = options;
  const folder = pickupFolder(options.folder);
  const at = (name: string): string => `${folder}/${name}`;

  const names = async (): Promise<string[]> =>
    (await io.stat(folder)) === null ? [] : await io.readFolder(folder);

  const heldFor = async (name: string): Promise<HeldFor | null> => {
    const text = await readOrNull(io, at(whyOf(name)));
    if (text === null) return null;
    try {
      return JSON.parse(latin1(text)) as HeldFor;
    } catch {
      // Half a reason is none: it is tried again.
      return null;
    }
  };

  const list = async (): Promise<PickupEntry[]> => {
    const all = await names();
    const known = new Set(all);
    const entries: PickupEntry[] = [];
    for (const name of all) {
      if (!mailName.test(name)) continue;
      const stat = await io.stat(at(name));
      if (stat === null) continue;
      const held = known.has(whyOf(name)) ? await heldFor(name) : null;
      entries.push({ name, sizeBytes: stat.size, held });
    }
    return entries;
  };

  return {
    list,
    add: async (envelope, pieces) => {
      await makeFolderDurable(io, folder);
      const there = await list();
      const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
      const held = there.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      if (there.length >= limits.entriesMax || held + bytes > limits.bytesMax)
        throw full(folder, there.length);
      const head = utf8(`${canonicalJson(asJson(envelope))}\n`);
      const hash = createHash('sha256').update(head);
      for (const piece of pieces) hash.update(piece);
      const stem = `${String(envelope.timeMs).padStart(15, '0')}-${hex(io.random(8))}`;
      const unfinished = at(`${stem}.new`);
      const file = await io.open(unfinished, 'create-new');
      try {
        await file.write([utf8(`${magic} ${hash.digest('hex')}\n`), head, ...pieces], 0);
        await file.sync();
      } catch (error) {
        await file.close().catch(() => {});
        await io.remove(unfinished).catch(() => {});
        throw error;
      }
      await file.close();
      await io.rename(unfinished, at(`${stem}.mail`));
      await io.syncFolder(folder);
      return `${stem}.mail`;
    },
    read: async (name) => {
      const file = await readOrNull(io, at(name));
      return file === null ? { kind: 'gone' } : parse(file);
    },
    envelope: async (name) => {
      let file: IoFile;
      try {
        file = await io.open(at(name), 'read');
      } catch (error) {
        if (error instanceof FengniError && error.code === 'file-not-found') return null;
        throw error;
      }
      try {
        const octets = Buffer.alloc(Math.min(await file.size(), pickupLimits.envelopeBytesMax));
        await file.read(octets, 0);
        const first = octets.indexOf(10);
        const second = octets.indexOf(10, first + 1);
        return first < 0 || second < 0 ? null : parseEnvelope(octets.subarray(first + 1, second));
      } finally {
        await file.close();
      }
    },
    remove: async (name) => {
      // Its reason first: one that is left alone would belong to nobody.
      await removeIfThere(io, at(whyOf(name)));
      await removeIfThere(io, at(name));
    },
    hold: async (name, why) => {
      await removeIfThere(io, at(whyOf(name)));
      const file = await io.open(at(whyOf(name)), 'create-new-synced');
      try {
        await file.write([utf8(canonicalJson({ ...why }))], 0);
      } finally {
        await file.close();
      }
    },
    sweep: async () => {
      const all = await names();
      const known = new Set(all);
      for (const name of all) {
        const isOfNobody = name.endsWith('.why') && !known.has(name.replace(/\.why$/, '.mail'));
        if (isOfNobody) await removeIfThere(io, at(name));
        if (!unfinishedName.test(name)) continue;
        const stat = await io.stat(at(name));
        if (stat !== null && io.clock.nowMs() - stat.birthMs > pickupLimits.unfinishedMs)
          await removeIfThere(io, at(name));
      }
    },
  };
};

const whyOf = (name: string): string => name.replace(/\.mail$/, '.why');

const asJson = ({ msgSalt, ...rest }: PickupEnvelope) => ({
  ...rest,
  parameters: [...rest.parameters],
  recipients: rest.recipients.map(({ address, notify }) => ({ address, notify })),
  msgSalt: hex(msgSalt),
});

const parse = (file: Uint8Array): PickupContent => {
  const octets = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const first = octets.indexOf(10);
  const [, wanted] =
    new RegExp(`^${magic} ([0-9a-f]{64})$`).exec(
      octets.toString('latin1', 0, Math.max(0, Math.min(first, 100))),
    ) ?? [];
  if (wanted === undefined) return { kind: 'damaged' };
  const rest = octets.subarray(first + 1);
  if (createHash('sha256').update(rest).digest('hex') !== wanted) return { kind: 'damaged' };
  const end = rest.indexOf(10);
  const envelope = parseEnvelope(rest.subarray(0, Math.max(0, end)));
  return envelope === null
    ? { kind: 'damaged' }
    : { kind: 'entry', envelope, octets: rest.subarray(end + 1) };
};

/** Whoever can write here owns the folder: what has the right hash is as `add` wrote it. */
const parseEnvelope = (line: Buffer): PickupEnvelope | null => {
  try {
    const { msgSalt, ...envelope } = JSON.parse(line.toString('utf8')) as Omit<PickupEnvelope, 'msgSalt'> & {
      msgSalt: string;
    };
    const salt = fromHex(msgSalt);
    return salt === null ? null : { ...envelope, msgSalt: salt };
  } catch {
    return null;
  }
};

const readOrNull = async (io: Io, path: string): Promise<Uint8Array | null> => {
  try {
    return await io.readFile(path);
  } catch (error) {
    if (error instanceof FengniError && error.code === 'file-not-found') return null;
    throw error;
  }
};

const removeIfThere = async (io: Io, path: string): Promise<void> => {
  try {
    await io.remove(path);
  } catch (error) {
    if (!(error instanceof FengniError) || error.code !== 'file-not-found') throw error;
  }
};

const full = (folder: string, count: number): FengniError =>
  new FengniError('pickup-full', {
    subject: `${folder} (${count})`,
    remedy: 'start the server, which takes what waits; "fengni sendmail -bp" shows it',
    retryable: true,
  });
