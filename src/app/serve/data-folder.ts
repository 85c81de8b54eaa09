import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { folderFault, ofAnother } from './folder-fault.ts';

/** What `DATA/FORMAT` says. */
export interface DataFormat {
  /** version of the formats in this folder */
  version: number;
  shard: number;
  /** the oldest program that may write here */
  oldestWriter: number;
}

/** of the formats that this program writes, and the newest that it can write */
export const formatVersion = 1;

const folders = [
  'segments',
  'keys',
  'large',
  'ledger',
  'anchors',
  'spool',
  'pickup',
  'poison',
  'poison/append',
  'tls',
  'run',
];

/** Modes with the sealer as a role, and with a sealer that is a service under a user of its own (FORMATS §1). */
const modes = {
  closed: { data: 0o700, ledger: 0o700, ledgerFile: 0o600 },
  ledgerOpen: { data: 0o710, ledger: 0o750, ledgerFile: 0o640 },
} as const;

/**
 * Makes a data folder complete: its subfolders, `FORMAT`, modes. Safe to call again, and side by side. A folder of a newer version is left
 * as it is.
 *
 * @param separateSealer the group of the data folder may come to the ledger and read it
 * @throws {FengniError} `data-folder-not-writable`, `data-folder-not-a-folder`, `data-folder-of-another`, `data-folder-newer`,
 * `format-file-damaged`, `disk-full`, `data-folder-unusable` (exit status 3)
 */
export const prepareDataFolder = (folder: string, options: { separateSealer: boolean }): void => {
  const mode = options.separateSealer ? modes.ledgerOpen : modes.closed;
  process.umask(0o077);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: mode.data });
    const { uid } = fs.statSync(folder);
    if (uid !== process.geteuid?.()) throw ofAnother(folder, uid);
    const file = path.join(folder, 'FORMAT');
    const isFresh = !fs.existsSync(file);
    if (!isFresh) checkFormat(file);
    refuseForeignEntries(folder);
    fs.chmodSync(folder, mode.data);
    for (const name of options.separateSealer ? folders : [...folders, 'sealer'])
      fs.mkdirSync(path.join(folder, name), { recursive: true, mode: 0o700 });
    setLedgerModes(path.join(folder, 'ledger'), mode);
    if (isFresh) writeFormat(folder, file);
  } catch (error) {
    throw error instanceof FengniError ? error : folderFault(folder, error as NodeJS.ErrnoException);
  }
};

/** A command that was run as root by mistake leaves files that the server cannot open: better said now than by a role. */
const refuseForeignEntries = (folder: string): void => {
  for (const name of fs.readdirSync(folder)) {
    const { uid } = fs.lstatSync(path.join(folder, name), { throwIfNoEntry: false }) ?? {};
    if (uid !== undefined && uid !== process.geteuid?.()) throw ofAnother(path.join(folder, name), uid);
  }
};

/** Walks the ledger only when its kind of sealer has changed; its folder's own mode goes last. */
const setLedgerModes = (ledger: string, mode: { ledger: number; ledgerFile: number }): void => {
  if ((fs.statSync(ledger).mode & 0o777) === mode.ledger) return;
  for (const entry of fs.readdirSync(ledger, { recursive: true, withFileTypes: true })) {
    const name = path.join(entry.parentPath, entry.name);
    if (entry.isDirectory()) fs.chmodSync(name, mode.ledger);
    else if (entry.isFile()) fs.chmodSync(name, mode.ledgerFile);
  }
  fs.chmodSync(ledger, mode.ledger);
};

const writeFormat = (folder: string, file: string): void => {
  const temporary = `${file}.${process.pid}`;
  try {
    fs.writeFileSync(
      temporary,
      `fengni data\nversion ${formatVersion}\nshard 0\noldest-writer ${formatVersion}\n`,
      { mode: 0o600 },
    );
    syncFile(temporary);
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  syncFile(folder);
};

/** @throws {FengniError} `data-folder-missing` where a command needs a folder that a server has used */
export const requireDataFolder = (folder: string): void => {
  if (fs.existsSync(path.join(folder, 'FORMAT'))) {
    checkFormat(path.join(folder, 'FORMAT'));
    return;
  }
  throw new FengniError('data-folder-missing', {
    subject: folder,
    remedy: 'start the server once ("fengni serve"), or name its folder with --data DIR',
  });
};

/** @throws {FengniError} `data-folder-newer`, `format-file-damaged` */
export const checkFormat = (file: string): DataFormat => {
  const text = fs.readFileSync(file, 'utf8');
  const match = /^fengni data\nversion (\d{1,9})\nshard (\d{1,9})\noldest-writer (\d{1,9})\n/.exec(text);
  if (match === null) {
    throw new FengniError('format-file-damaged', {
      subject: file,
      remedy: say('en', 'remedy.format-file-damaged'),
    });
  }
  const format = { version: Number(match[1]), shard: Number(match[2]), oldestWriter: Number(match[3]) };
  if (format.oldestWriter > formatVersion) {
    throw new FengniError('data-folder-newer', {
      subject: `${file} (${format.oldestWriter} > ${formatVersion})`,
      remedy: 'upgrade Fengni',
    });
  }
  return format;
};

const syncFile = (file: string): void => {
  const descriptor = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
};
