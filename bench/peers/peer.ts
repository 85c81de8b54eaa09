import fs from 'node:fs';
import type { LoadTask } from '../support/smtp-load.ts';

/** A message as it lies in a mailbox. */
export interface ReadBack {
  /** of the original, hex */
  readonly sha256: string;
  /** what the server wrote above it */
  readonly trace: string;
}

/** A mail server that was started for a bench, in a folder of its own. */
export interface Peer {
  readonly name: string;
  /** versions and settings, as Markdown */
  readonly about: string;
  /** where a round's mail goes; a mailbox of its own where that costs nothing */
  address(tag: string): string;
  /** the port for this kind of connection, or why there is none */
  port(tls: LoadTask['tls']): number | { none: string };
  /** Waits until this many messages of a round are in the mailbox; when the last was, in ms since the epoch. */
  delivered(tag: string, count: number): Promise<number>;
  /** the port where XCLIENT is believed and senders are checked; absent: the server was started without */
  readonly checkedPort?: number;
  /** Reads back what is in the mailbox since the last call. */
  readBack(tag: string): Promise<ReadBack[]>;
  /** process ids whose trees are the server */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** ticks of /proc/PID/stat in a second: USER_HZ is 100 on every Linux */
const ticksPerSecond = 100;

interface Stat {
  parent: number;
  name: string;
  ticks: number;
}

const statOf = (pid: string): Stat | null => {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = text.lastIndexOf(')');
    const fields = text.slice(end + 2).split(' ');
    // Of the process and of its ended children: utime, stime, cutime, cstime.
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    return { parent: Number(fields[1]), name: text.slice(text.indexOf('(') + 1, end), ticks };
  } catch {
    return null;
  }
};

/** what a process calls itself: `fengni: mx`, or its program's name */
const nameOf = (pid: number, stat: Stat): string => {
  try {
    const title = /^fengni: (\w+)/.exec(fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1'))?.[1];
    return title ?? stat.name;
  } catch {
    return stat.name;
  }
};

/**
 * CPU of whole process trees so far, ms by name: what lives, with what its ended children used (a parent that waits for its children takes
 * over their times, so short-lived processes are in it).
 */
export const cpuOf = (roots: readonly number[]): Map<string, number> => {
  const all = new Map<number, Stat>();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = statOf(name);
    if (stat !== null) all.set(Number(name), stat);
  }
  const used = new Map<string, number>();
  const isOurs = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = all.get(at)?.parent)
      if (roots.includes(at)) return true;
    return false;
  };
  for (const [pid, stat] of all) {
    if (!isOurs(pid)) continue;
    const name = nameOf(pid, stat);
    used.set(name, (used.get(name) ?? 0) + (stat.ticks * 1_000) / ticksPerSecond);
  }
  return used;
};

/** CPU of the whole machine so far, ms: everything but idling and waiting for the disk. */
export const machineCpu = (): number => {
  const fields = fs.readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.trim().split(/\s+/) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields.slice(1).map(Number);
  return ((user + nice + system + irq + softirq) * 1_000) / ticksPerSecond;
};

/** Waits until something is there; @throws when it is not within the time. */
export const until = async <T>(
  what: string,
  look: () => T | null | Promise<T | null>,
  { msMax = 60_000, everyMs = 20 } = {},
): Promise<T> => {
  const end = performance.now() + msMax;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`not within ${msMax / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
};
