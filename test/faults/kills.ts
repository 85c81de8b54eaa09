import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { randomNumbers } from '#store/durable';
import { type Acknowledged, fetchAll, MailLoad, original } from '../support/mail-load.ts';
import { isAlive, rolesOf } from '../support/processes.ts';
import type { TestServer } from '../support/server.ts';

const senders = 4;
const killedMsMax = 10_000;
const flowMsMax = 60_000;
/** signed heads of different times that are held against the log at the end */
const keptHeadsMax = 2;

export interface KillsOutcome {
  kills: number;
  acknowledged: number;
  /** in the maildrop at the end */
  stored: number;
  /** stored although its answer was never read */
  unanswered: number;
  problems: string[];
}

/**
 * Kills every process of a server at once, again and again, while four peers send; then everything that was answered must be there once,
 * and nothing else but messages that were sent.
 *
 * @param options.acknowledgedMin messages that are answered before the last kill of this call at the least
 */
export const killAll = async (
  server: TestServer,
  options: {
    kills: number;
    acknowledgedMin: number;
    seed: number;
    /** what earlier calls for this server collected; this one's are added */
    acknowledged: Acknowledged[];
  },
): Promise<KillsOutcome> => {
  if (server.pid === 0) await server.start();
  const numbers = randomNumbers(options.seed);
  const outcome: KillsOutcome = { kills: 0, acknowledged: 0, stored: 0, unanswered: 0, problems: [] };
  const { acknowledged } = options;
  const perLife = Math.ceil(options.acknowledgedMin / options.kills);
  const heads: string[] = [];
  const checkpoint = path.join(server.data, 'ledger/g1/checkpoint');
  for (; outcome.kills < options.kills; outcome.kills++) {
    const load = new MailLoad({
      port: server.ports.smtp,
      to: server.address,
      senders,
      tag: `kill-${options.seed}-${outcome.kills}`,
    });
    const until = performance.now() + flowMsMax;
    const wanted = perLife + (numbers() % 8);
    while (load.acknowledged.length < wanted && performance.now() < until) await sleep(2);
    if (load.acknowledged.length < perLife)
      outcome.problems.push(`after kill ${outcome.kills} mail does not flow`);
    // Anywhere in a group, not only right after an answer.
    await sleep(numbers() % 30);
    if (fs.existsSync(checkpoint)) {
      const head = path.join(server.folder, `head-${outcome.kills}`);
      fs.copyFileSync(checkpoint, head);
      heads.push(head);
      if (heads.length > keptHeadsMax) fs.rmSync(heads.splice(numbers() % keptHeadsMax, 1)[0] ?? '');
    }
    const pids = [server.pid, ...rolesOf(server.pid).values()];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await server.kill();
    await load.stop();
    acknowledged.push(...load.acknowledged);
    const gone = performance.now() + killedMsMax;
    while (pids.some(isAlive) && performance.now() < gone) await sleep(2);
    await server.start();
  }
  outcome.acknowledged = acknowledged.length;
  await auditMaildrop(server, acknowledged, outcome);
  await server.stop();
  for (const head of ['', ...heads]) {
    const { status, stdout } = await server.fengni([
      'verify',
      ...(head === '' ? [] : ['--checkpoint', head]),
    ]);
    if (status !== 0) outcome.problems.push(`verify ${head}: ${status}: ${stdout.slice(0, 1_000)}`);
  }
  return outcome;
};

const auditMaildrop = async (
  server: TestServer,
  acknowledged: readonly Acknowledged[],
  outcome: KillsOutcome,
): Promise<void> => {
  const messages = await fetchAll({
    port: server.ports.pop3s,
    ca: server.ca,
    user: server.address,
    password: server.password,
  });
  const byId = new Map<string, string>();
  const ids = new Map<string, string>();
  const problem = (what: string): void => void outcome.problems.push(what);
  for (const message of messages) {
    const found = original(message);
    if (found === null) {
      problem(`a message without our seal: ${message.slice(0, 200)}`);
      continue;
    }
    const sealed = /sha256=([0-9a-f]{64})/.exec(message)?.[1];
    if (createHash('sha256').update(found.octets, 'latin1').digest('hex') !== sealed)
      problem(`message ${found.id} is not what its seal says`);
    const twin = ids.get(found.octets);
    if (twin !== undefined) problem(`one message is there twice: ${twin} and ${found.id}`);
    if (byId.has(found.id)) problem(`one id twice: ${found.id}`);
    ids.set(found.octets, found.id);
    byId.set(found.id, found.octets);
  }
  for (const { id, octets } of acknowledged) {
    const stored = byId.get(id);
    if (stored === undefined) problem(`message ${id} was acknowledged and is lost`);
    else if (stored !== octets) problem(`message ${id} is not what was sent`);
  }
  outcome.stored = messages.length;
  outcome.unanswered = messages.length - acknowledged.length;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
