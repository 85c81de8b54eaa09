import { connectOrNull, requireOwnedFolder, runningServer } from '#app/connect';
import { roleNames } from '#app/roles';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import type { WriterStatus } from '#services/mailstore';
import type { Command, CommandContext, OutputStream } from '../command.ts';
import { fieldLines } from './field-lines.ts';

/** a writer that is starting again */
const answerMsMax = 3_000;

/** `fengni status` */
export const command: Command = {
  usage: (language) => say(language, 'status.usage'),
  options: {},
  run: async (context) => {
    context.argsMax(0);
    const folder = await context.dataFolder();
    await requireOwnedFolder(folder);
    const status = await writerStatus(folder);
    const server = runningServer(folder);
    if (server === null) {
      throw new FengniError('server-not-running', { subject: folder, remedy: 'start it: fengni serve' });
    }
    const missing = roleNames.filter((name) => !server.roles.some(({ role }) => role === name));
    const isGood =
      missing.length === 0 && status !== null && status.sealer !== 'down' && status.sealer !== 'refusing';
    const roles = [
      ...server.roles.map(({ role, pid }) => context.say('status.role', { role, pid })),
      ...missing.map((role) => red(context.stdout, context.say('status.role.missing', { role }))),
    ];
    for (const line of fieldLines([
      [context.say('status.field.server'), context.say('status.server', { pid: server.pid })],
      [context.say('status.field.roles'), roles.join(', ')],
      ...writerLines(context, status),
      [context.say('status.field.witness'), red(context.stdout, context.say('status.unwitnessed'))],
    ]))
      context.print(line);
    if (context.json) {
      const { pid } = server;
      context.printJson({
        running: true,
        good: isGood,
        pid,
        roles: Object.fromEntries(server.roles.map(({ role, pid }) => [role, pid])),
        missing,
        writer: status,
        witnessed: false,
      });
    }
    return isGood ? 0 : 1;
  },
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
