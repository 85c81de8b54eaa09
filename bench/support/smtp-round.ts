import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cpuOf, machineCpu, type Peer, type ReadBack } from '../peers/peer.ts';
import { loadMessages } from './load-message.ts';
import { loadXclient, type SignedLoad } from './signed-load.ts';
import type { LoadResult, LoadTask } from './smtp-load.ts';

// A round of bench/smtp.ts: what one server does with one kind of load, and the proof that it did.

/** after the last message: work that the answer did not wait for belongs to the messages too */
const settleMs = 700;
/** messages of a connection where it carries many: servers have limits */
const manyMessages = 1_000;
/** octets of one round at most: they are read back */
const roundBytesMax = 400 * 2 ** 20;

export interface Cell {
  sizeBytes: number;
  sessions: number;
  tls: LoadTask['tls'];
  connection: 'one' | 'many';
}

export interface RoundOptions {
  readonly client: ChildProcess;
  readonly seconds: number;
  readonly messages: number;
  readonly pipelining: boolean;
}

/** A load whose sender is checked: what XCLIENT says stands in DNS, and messages have signatures. */
export interface Checked {
  readonly load: SignedLoad;
  readonly signatures: number;
}

export const fixed = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
export const at = (sorted: readonly number[] | Float64Array, share: number): number =>
  sorted[Math.floor(share * (sorted.length - 1))] ?? 0;

/** What a server is not able to do; everything that it did was right. */
export class CouldNot extends Error {}

/** Rounds of one server in one cell. */
export class Tally {
  messages = 0;
  connections = 0;
  /** until the last 250, and until the last was in the mailbox */
  acceptedMs = 0;
  deliveredMs = 0;
  cpuMs = 0;
  readonly byProcess = new Map<string, number>();
  /** CPU of whatever else ran, over the time: cores */
  otherCores: number[] = [];
  delaysMs: number[] = [];
  readonly faults = new Map<string, number>();

  get perSecond(): number {
    return (1_000 * this.messages) / this.deliveredMs;
  }
  get acceptedPerSecond(): number {
    return (1_000 * this.messages) / this.acceptedMs;
  }
  get cpuMsEach(): number {
    return this.cpuMs / this.messages;
  }
  delay(share: number): number {
    return at(
      this.delaysMs.sort((a, b) => a - b),
      share,
    );
  }
}

export const sum = (of: Iterable<number>): number => [...of].reduce((total, each) => total + each, 0);
const asked = (client: ChildProcess, task: LoadTask): Promise<LoadResult> =>
  new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the load program ended'));
    client.once('exit', ended);
    client.once('message', (result) => {
      client.off('exit', ended);
      resolve(result as LoadResult);
    });
    client.send(task);
  });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let roundNumber = 0;

/** @throws when a message that was acknowledged is not there as it was sent, or was not checked as it should be */
export const runRound = async (
  options: RoundOptions,
  peer: Peer,
  cell: Cell,
  tally: Tally,
  checked: Checked | null = null,
): Promise<void> => {
  const port = checked === null ? peer.port(cell.tls) : (peer.checkedPort ?? { none: 'no checks' });
  if (typeof port !== 'number') throw new CouldNot(port.none);
  roundNumber += 1;
  const tag = `r${roundNumber}p${process.pid}`;
  const to = peer.address(tag);
  const messagesMax = Math.min(
    options.messages,
    Math.max(cell.sessions, Math.floor(roundBytesMax / cell.sizeBytes)),
  );
  const unsigned = loadMessages(tag, to, cell.sizeBytes);
  const signatures = (await checked?.load.sign(unsigned, checked.signatures)) ?? '';
  const cpuBefore = cpuOf(peer.pids);
  const machineBefore = machineCpu();
  const begun = performance.now();
  const result = await asked(options.client, {
    port,
    to,
    tag,
    sizeBytes: cell.sizeBytes,
    signatures,
    xclient: checked === null ? null : loadXclient,
    sessions: cell.sessions,
    messagesPerConnection: cell.connection === 'one' ? 1 : manyMessages,
    tls: cell.tls,
    pipelining: options.pipelining,
    messagesMax,
    secondsMax: options.seconds,
  });
  const count = result.acknowledged.length;
  if (count === 0) throw new CouldNot(`${peer.name} took no message: ${JSON.stringify(result.faults)}`);
  const deliveredMs = await peer.delivered(tag, count);
  await pause(settleMs);
  const tookMs = performance.now() - begun;
  const cpu = cpuOf(peer.pids);
  const machine = machineCpu() - machineBefore;
  let cpuMs = 0;
  for (const [name, used] of cpu) {
    const spent = used - (cpuBefore.get(name) ?? 0);
    // A process that ended took its time along into its parent's.
    tally.byProcess.set(name, (tally.byProcess.get(name) ?? 0) + spent);
    cpuMs += spent;
  }
  for (const [name, used] of cpuBefore) if (!cpu.has(name)) cpuMs -= used;

  const expected = new Set<string>();
  const messages = loadMessages(tag, to, cell.sizeBytes, signatures);
  for (const number of result.acknowledged) expected.add(messages.sha256(number));
  let strange = 0;
  for (const message of await peer.readBack(tag)) {
    if (!expected.delete(message.sha256)) strange += 1;
    const unproven = checked === null ? null : notPassed(message, checked.signatures);
    if (unproven !== null) throw new Error(`${peer.name}: ${unproven}:\n${message.trace}`);
  }
  // A message whose 250 did not arrive may be there all the same; each of those was counted as a fault.
  const unanswered = sum(Object.values(result.faults));
  if (expected.size > 0 || strange > unanswered)
    throw new Error(
      `${peer.name}: ${expected.size} of ${count} acknowledged messages are missing or other octets, ${strange} are there that were not sent so or twice`,
    );

  tally.messages += count;
  tally.connections += result.connections;
  tally.acceptedMs += result.lastMs - result.beganMs;
  tally.deliveredMs += Math.max(deliveredMs, result.lastMs) - result.beganMs;
  // Fengni’s are there with their 250: its `delivered` comes a channel’s delay later.
  if (peer.name === 'Fengni') tally.deliveredMs = tally.acceptedMs;
  tally.cpuMs += cpuMs;
  tally.otherCores.push(Math.max(0, (machine - cpuMs - result.cpuMs) / tookMs));
  tally.delaysMs.push(...result.delaysMs);
  for (const [what, times] of Object.entries(result.faults))
    tally.faults.set(what, (tally.faults.get(what) ?? 0) + times);
};

/** What of a sender that everybody can vouch for a server did not find out, by what it wrote. */
const notPassed = ({ trace }: ReadBack, signatures: number): string | null => {
  const results = trace
    .replace(/\r?\n[ \t]+/g, ' ')
    .split(/\r?\n/)
    .filter((field) => field.startsWith('Authentication-Results:'))
    .join('\n');
  if (!/\bspf=pass\b/.test(results)) return 'SPF did not pass';
  if (!/\bdmarc=pass\b/.test(results)) return 'DMARC did not pass';
  const passed = results.match(/\bdkim=pass\b/g)?.length ?? 0;
  return passed === signatures ? null : `${passed} of ${signatures} signatures passed`;
};

/** fdatasync of a 2 KB append on the same disk, ms p50: what one message costs that waits for the disk once. */
export const syncMs = (folder: string): number => {
  const file = path.join(folder, 'probe');
  const fd = fs.openSync(file, 'w');
  const block = Buffer.alloc(2_048, 1);
  const times = Array.from({ length: 100 }, () => {
    fs.writeSync(fd, block);
    const begun = performance.now();
    fs.fdatasyncSync(fd);
    return performance.now() - begun;
  });
  fs.closeSync(fd);
  fs.rmSync(file);
  return at(
    times.sort((a, b) => a - b),
    0.5,
  );
};
