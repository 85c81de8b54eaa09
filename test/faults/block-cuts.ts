import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomNumbers } from '#store/durable';
import { type AuditReport, promiseLines } from './store-promises.ts';

// Power cuts under a real file system: it lies in an image, the driver works in it, is stopped, and the image is copied: what the copy has
// is what the kernel had handed to the device. The copy is mounted, its own recovery runs, and then everything said is held against it.

export const fileSystems = ['ext4', 'xfs', 'btrfs'] as const;
export type FileSystem = (typeof fileSystems)[number];

const packages = { ext4: 'e2fsprogs', xfs: 'xfsprogs', btrfs: 'btrfs-progs' } as const;
const mkfs = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
} as const;
/** the smallest that each takes gladly */
const imageBytes = { ext4: 128, xfs: 320, btrfs: 160 } as const;
/** A second file system with the same id is refused otherwise. */
const mountOptions = { ext4: 'loop', xfs: 'loop,nouuid', btrfs: 'loop' } as const;

/** lives in one image, one after the other; each ends with a cut and is found by the next */
const livesMax = 8;
const writers = 4;
const answersMin = 15;
const answersMsMax = 60_000;
const copiesMax = 40;

export interface CutsOutcome {
  kind: 'ran';
  cuts: number;
  acknowledged: number;
  /** answered for and not there */
  lost: number;
  /** with the seed of the cut */
  problems: string[];
}

export type CutsResult = CutsOutcome | { kind: 'could not run'; why: string };

const run = (program: string, ...args: readonly string[]): void => {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`);
};

/** Why block-level cuts cannot be made here with this file system, or null. */
export const whyNot = (fileSystem: FileSystem): string | null => {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  const [program] = mkfs[fileSystem];
  const isThere = spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;
  if (!isThere) return `${program} is missing: apt-get install ${packages[fileSystem]}`;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-cuts-'));
  try {
    const image = path.join(folder, 'image');
    makeImage(fileSystem, image);
    const mounted = path.join(folder, 'm');
    fs.mkdirSync(mounted);
    run('mount', '-t', fileSystem, '-o', mountOptions[fileSystem], image, mounted);
    run('umount', mounted);
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
};

const makeImage = (fileSystem: FileSystem, image: string): void => {
  run('truncate', '-s', `${imageBytes[fileSystem]}M`, image);
  const [program, ...args] = mkfs[fileSystem];
  run(program, ...args, image);
};

/**
 * @param driverArgs the control's mistake
 * @param stopAtFirst ends with the first cut that broke a promise
 */
export const cutPower = async (options: {
  fileSystem: FileSystem;
  cuts: number;
  firstSeed: number;
  driverArgs?: readonly string[];
  stopAtFirst?: boolean;
  progress?: (cuts: number) => void;
}): Promise<CutsResult> => {
  const { fileSystem, cuts, firstSeed } = options;
  const why = whyNot(fileSystem);
  if (why !== null) return { kind: 'could not run', why };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-cuts-'));
  const mounted = path.join(folder, 'm');
  fs.mkdirSync(mounted);
  const outcome: CutsOutcome = { kind: 'ran', cuts: 0, acknowledged: 0, lost: 0, problems: [] };
  let isMounted = false;
  const mount = (image: string): void => {
    run('mount', '-t', fileSystem, '-o', mountOptions[fileSystem], image, mounted);
    isMounted = true;
  };
  const unmount = async (): Promise<void> => {
    // Whoever was just killed may hold it for a moment.
    for (let tries = 0; isMounted; tries++) {
      try {
        run('umount', mounted);
        isMounted = false;
      } catch (error) {
        if (tries > 50) throw error;
        await sleep(100);
      }
    }
  };
  let child: ChildProcess | null = null;
  try {
    let image = '';
    let lines = '';
    for (let cut = 0; cut < cuts; cut++) {
      const seed = firstSeed + cut;
      const numbers = randomNumbers(seed);
      if (cut % livesMax === 0) {
        if (image !== '') fs.rmSync(image);
        image = path.join(folder, `image-${cut}`);
        makeImage(fileSystem, image);
        lines = '';
      }
      mount(image);
      const said = path.join(folder, 'said');
      const out = fs.openSync(said, 'w');
      const driver = spawnDriver(path.join(mounted, 'data'), seed, out, options.driverArgs ?? []);
      child = driver.child;
      fs.closeSync(out);
      const answers = (): number => fs.readFileSync(said, 'latin1').split('"delivered"').length - 1;
      const wanted = answersMin + (numbers() % 60);
      const until = performance.now() + answersMsMax;
      while (answers() < wanted && performance.now() < until && child.exitCode === null)
        await sleep(2 + (numbers() % 8));
      if (child.exitCode !== null) throw new Error(`seed ${seed}: the driver ended: ${driver.stderr()}`);
      process.kill(child.pid as number, 'SIGSTOP');
      await stopped(child.pid as number);
      lines += wholeLines(fs.readFileSync(said, 'utf8'));
      const copy = path.join(folder, `copy-${cut}`);
      await copyInstant(image, copy);
      const gone = new Promise<void>((resolve) => child?.once('exit', () => resolve()));
      child.kill('SIGKILL');
      await gone;
      child = null;
      await unmount();
      fs.rmSync(image);
      image = copy;

      mount(image);
      const report = audit(path.join(mounted, 'data'), path.join(folder, 'lines'), lines);
      await unmount();
      outcome.cuts += 1;
      outcome.acknowledged += promiseLines(wholeLines(fs.readFileSync(said, 'utf8'))).filter(
        ({ kind }) => kind === 'delivered',
      ).length;
      outcome.lost += report.lost;
      outcome.problems.push(...report.problems.map((what) => `${fileSystem}, seed ${seed}: ${what}`));
      options.progress?.(outcome.cuts);
      if (report.problems.length > 0) {
        if (options.stopAtFirst === true) break;
        // What is wrong now would be wrong in every later life of this image.
        cut += livesMax - 1 - (cut % livesMax);
      }
    }
    return outcome;
  } finally {
    child?.kill('SIGKILL');
    await sleep(child === null ? 0 : 200);
    await unmount().catch(() => {});
    if (!isMounted) fs.rmSync(folder, { recursive: true, force: true });
  }
};

const spawnDriver = (
  folder: string,
  seed: number,
  out: number,
  args: readonly string[],
): { child: ChildProcess; stderr(): string } => {
  const program = path.join(import.meta.dirname, 'store-driver.ts');
  const child = spawn(
    process.execPath,
    [
      program,
      '--folder',
      folder,
      '--seed',
      `${seed}`,
      '--writers',
      `${writers}`,
      '--messages',
      '9000',
      ...args,
    ],
    { stdio: ['ignore', out, 'pipe'] },
  );
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-2_000);
  });
  return { child, stderr: () => text };
};

/** In a process of its own, so that nothing keeps the file system busy. */
const audit = (folder: string, linesFile: string, lines: string): AuditReport => {
  fs.writeFileSync(linesFile, lines);
  const program = path.join(import.meta.dirname, 'store-promises.ts');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [program, '--folder', folder, '--lines', linesFile],
    { encoding: 'utf8', maxBuffer: 16 * 2 ** 20 },
  );
  try {
    return JSON.parse(stdout) as AuditReport;
  } catch {
    return {
      acknowledged: 0,
      messages: 0,
      lost: 0,
      problems: [`the auditor ended: ${stderr.slice(-1_000)}`],
    };
  }
};

/** Signals take effect thread by thread: a line is only read when none runs any more. */
const stopped = async (pid: number): Promise<void> => {
  for (;;) {
    const states = fs
      .readdirSync(`/proc/${pid}/task`)
      .map((task) => /\) (\S) /.exec(fs.readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1'))?.[1]);
    if (states.every((state) => state === 'T')) return;
    await sleep(1);
  }
};

/** The kernel goes on writing back while a copy is made: it is one instant only where a second reading finds the same. */
const copyInstant = async (image: string, copy: string): Promise<void> => {
  for (let tries = 0; tries < copiesMax; tries++) {
    run('cp', '--sparse=always', image, copy);
    if (spawnSync('cmp', ['-s', image, copy]).status === 0) return;
    await sleep(50);
  }
  throw new Error(`${image} did not stand still`);
};

const wholeLines = (text: string): string => text.slice(0, text.lastIndexOf('\n') + 1);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
