import fs from 'node:fs';
import type { Config } from '#app/config';
import { connectOrNull, logFault, requireOwnedFolder, runningServer } from '#app/connect';
import { openDns, resolversOf } from '#app/dns';
import { roleNames } from '#app/roles';
import { FengniError } from '#base/errors';
import { say, type TextKey } from '#base/text';
import type { DnsValidation } from '#net/dns';
import type { WriterStatus } from '#services/mailstore';
import type { Command, CommandContext, OutputStream } from '../command.ts';
import { fieldLines } from './field-lines.ts';

/** a writer that is starting again */
const answerMsMax = 3_000;
/** all resolvers together */
const dnsMsMax = 2_000;

/** `fengni status` */
export const command: Command = {
  usage: (language) => say(language, 'status.usage'),
  options: {},
  run: async (context) => {
    context.argsMax(0);
    const folder = await context.dataFolder();
    await requireOwnedFolder(folder);
    const config = await context.config();
    const [status, dns] = await Promise.all([writerStatus(folder), dnsStatus(config)]);
    const server = runningServer(folder);
    if (server === null) {
      const fault = await logFault(folder, config);
      if (fault !== null) throw fault;
      throw new FengniError('server-not-running', { subject: folder, remedy: 'start it: fengni serve' });
    }
    // With a socket of its own the sealer is no role of this server.
    const expected = roleNames.filter((name) => name !== 'sealer' || config.sealer.socket === null);
    const missing = expected.filter((name) => !server.roles.some(({ role }) => role === name));
    const disk = await diskOf(folder, config.limits.freeBytesMin);
    const faults = faultsOf(status, missing, disk.nearlyFull);
    const roles = [
      ...server.roles.map(({ role, pid }) => context.say('status.role', { role, pid })),
      ...missing.map((role) => red(context.stdout, context.say('status.role.missing', { role }))),
    ];
    const free = Math.floor(disk.freeBytes / 2 ** 20);
    for (const line of fieldLines([
      [context.say('status.field.server'), context.say('status.server', { pid: server.pid })],
      [context.say('status.field.roles'), roles.join(', ')],
      ...writerLines(context, status),
      ...(status?.damaged
        ? [
            [
              context.say('status.field.damage'),
              red(
                context.stdout,
                context.say('status.damage', { count: status.damaged.count, ...status.damaged.last }),
              ),
            ] as const,
          ]
        : []),
      ...(status?.projectionsRemade
        ? [
            [
              context.say('status.field.index'),
              red(context.stdout, context.say(`status.index.${status.projectionsRemade}`)),
            ] as const,
          ]
        : []),
      ...(disk.nearlyFull
        ? [
            [
              context.say('status.field.disk'),
              red(context.stdout, context.say('status.disk.nearly-full', { free })),
            ] as const,
          ]
        : []),
      [context.say('status.field.dns'), dnsText(context, dns)],
      [context.say('status.field.witness'), red(context.stdout, context.say('status.unwitnessed'))],
      ...(status?.projectionsRemade
        ? [[context.say('status.field.todo'), context.say('status.todo.index')] as const]
        : []),
      ...faults.map(({ todo }) => [context.say('status.field.todo'), context.say(todo)] as const),
      ...(dns.validation === 'validates'
        ? []
        : [[context.say('status.field.todo'), context.say(`status.todo.dns.${dns.validation}`)] as const]),
    ]))
      context.print(line);
    if (context.json) {
      const { pid } = server;
      context.printJson({
        running: true,
        good: faults.length === 0,
        pid,
        roles: Object.fromEntries(server.roles.map(({ role, pid }) => [role, pid])),
        missing,
        writer: status,
        disk,
        witnessed: false,
        dns,
        faults: faults.map(({ code, todo }) => ({ code, todo: context.say(todo) })),
      });
    }
    return faults.length === 0 ? 0 : 1;
  },
};

interface DnsStatus {
  resolvers: readonly string[];
  validation: Exclude<DnsValidation, 'closed'>;
}

/**
 * Asks the resolvers as the server does, from here. What they lack is told and is no fault of the server: a machine
 * without a network has mail too.
 */
const dnsStatus = async (config: Config): Promise<DnsStatus> => {
  const dns = openDns(config, { attemptMs: dnsMsMax, lookupMs: dnsMsMax, roundsMax: 1 });
  const validation = await dns.validation();
  dns.close();
  return { resolvers: resolversOf(config), validation: validation === 'closed' ? 'unavailable' : validation };
};

const dnsText = (context: CommandContext, { resolvers, validation }: DnsStatus): string => {
  const text = context.say(`status.dns.${validation}`, { resolvers: resolvers.join(', ') });
  return validation === 'validates' ? text : red(context.stdout, text);
};

interface Fault {
  /** stable, for programs */
  code: string;
  todo: Extract<TextKey, `status.todo.${string}`>;
}

const faultsOf = (
  status: WriterStatus | null,
  missing: readonly string[],
  diskNearlyFull: boolean,
): Fault[] => {
  const faults: Fault[] = missing.map((role) => ({ code: `role-missing-${role}`, todo: 'status.todo.role' }));
  if (status === null) faults.push({ code: 'writer-silent', todo: 'status.todo.writer' });
  else if (status.sealer === 'down' || status.sealer === 'refusing') {
    const reason = /^[a-z-]+/.exec(status.sealerReason ?? '')?.[0] ?? 'unknown';
    const todo = todoOf.get(reason) ?? (status.sealer === 'down' ? 'status.todo.down' : 'status.todo.fork');
    faults.push({
      code: status.sealer === 'down' ? `sealer-down-${reason}` : `sealer-refuses-${reason}`,
      todo,
    });
  }
  if (status !== null && status.damaged !== null)
    faults.push({ code: 'mail-damaged', todo: 'status.todo.damaged' });
  if (diskNearlyFull) faults.push({ code: 'disk-nearly-full', todo: 'status.todo.disk' });
  return faults;
};

/** What helps, by the code that the sealer refuses with. */
const todoOf: ReadonlyMap<string, Fault['todo']> = new Map([
  ['copied', 'status.todo.copied'],
  ['rolled-back', 'status.todo.rolled-back'],
  ['no-generation', 'status.todo.lost'],
  ['sealer-state-lost', 'status.todo.lost'],
  ['sealer-state-damaged', 'status.todo.lost'],
  ['sealer-key-lost', 'status.todo.key-lost'],
  ['sealer-unusable', 'status.todo.unusable'],
  ['other-generation', 'status.todo.behind'],
  ['entries-unreadable', 'status.todo.entries'],
  ['root-mismatch', 'status.todo.entries'],
]);

const diskOf = async (
  folder: string,
  freeBytesMin: number,
): Promise<{ freeBytes: number; nearlyFull: boolean }> => {
  const { isNearlyFull } = await import('#app/serve');
  const { bavail, blocks, bsize } = fs.statfsSync(folder);
  const freeBytes = bavail * bsize;
  return { freeBytes, nearlyFull: isNearlyFull({ freeBytes, sizeBytes: blocks * bsize, freeBytesMin }) };
};

const writerStatus = async (folder: string): Promise<WriterStatus | null> => {
  const client = await connectOrNull(folder);
  if (client === null) return null;
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), answerMsMax);
    });
    return await Promise.race([client.call<WriterStatus>('status').then(({ result }) => result), late]);
  } catch {
    // A writer that ends while it is asked has not answered.
    return null;
  } finally {
    clearTimeout(timer);
    client.close();
  }
};

const writerLines = (context: CommandContext, status: WriterStatus | null): [string, string][] => {
  const log = context.say('status.field.log');
  if (status === null) return [[log, red(context.stdout, context.say('status.log.unknown'))]];
  const { nextSeq, leafCount, generation, sealedLeafCount, sealer } = status;
  const reason = status.sealerReason ?? '-';
  const sealerText =
    sealer === 'down' || sealer === 'refusing'
      ? red(context.stdout, context.say(`status.sealer.${sealer}`, { reason }))
      : context.say(`status.sealer.${sealer}`);
  return [
    [log, context.say('status.log', { seq: nextSeq - 1, leaves: leafCount, generation })],
    [
      context.say('status.field.sealed'),
      context.say('status.sealed', { sealed: sealedLeafCount, leaves: leafCount }),
    ],
    [context.say('status.field.sealer'), sealerText],
  ];
};

const red = ({ isTTY }: OutputStream, text: string): string =>
  isTTY === true ? `\x1b[31m${text}\x1b[39m` : text;
