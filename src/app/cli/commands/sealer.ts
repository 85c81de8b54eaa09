import path from 'node:path';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import { createLogger } from '#base/logger';
import { say } from '#base/text';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { UsageError } from '../usage-error.ts';

/** `fengni sealer`: the one who signs, as a service of its own under a user of its own; `fengni sealer allow` permits it one step. */
export const command: Command = {
  usage: (language) =>
    `sealer --state DIR --socket S [--data DIR]\nsealer allow rotation|new-generation --state DIR\n\n${say(language, 'sealer.usage')}`,
  options: {
    state: {
      type: 'string',
      value: 'DIR',
      text: { en: say('en', 'sealer.option.state'), zh: say('zh', 'sealer.option.state') },
    },
    socket: {
      type: 'string',
      value: 'S',
      text: { en: say('en', 'sealer.option.socket'), zh: say('zh', 'sealer.option.socket') },
    },
  },
  run: async (context) => {
    if (context.args.length > 0) {
      subcommand('sealer', context, ['allow']);
      return allow(context);
    }
    const ending = Promise.withResolvers<NodeJS.Signals>();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.resolve(signal));
    const state = required(context, 'state');
    const socket = required(context, 'socket');
    const { startSealerService } = await import('#app/sealer');
    const logger = createLogger({
      clock: systemClock,
      level: 'info',
      form: context.stderr.isTTY === true ? 'text' : 'json',
      write: (line) => void context.stderr.write(line),
      fields: { role: 'sealer' },
    });
    const service = await startSealerService({
      stateFolder: state,
      socket,
      dataFolder: await context.dataFolder(),
      logger,
    });
    context.stdout.write('ready\n');
    logger.info('stopping', { signal: await ending.promise });
    await service.stop();
    return 0;
  },
};

/** A path that an option gives. @throws {FengniError} `usage` where it is missing */
const required = (context: CommandContext, name: string): string => {
  const value = context.text(name);
  if (value !== undefined) return path.resolve(context.cwd, value);
  throw new FengniError('usage', {
    subject: say(context.language, 'sealer.option-missing', { name: `--${name}` }),
    remedy: 'fengni sealer --help',
    exitStatus: 2,
  });
};

/** `fengni sealer allow rotation|new-generation`: by whoever keeps the folder, beside the running sealer. */
const allow = async (context: CommandContext): Promise<0> => {
  context.argsMax(2);
  const kind = context.arg(1, 'rotation|new-generation');
  if (kind !== 'rotation' && kind !== 'new-generation')
    throw new UsageError((language) => ({
      sentence: say(language, 'cli.unknown-subcommand', {
        command: 'sealer allow',
        name: kind,
        known: 'rotation, new-generation',
      }),
      remedy: say(language, 'cli.try-help', { command: 'sealer ' }),
    }));
  const folder = required(context, 'state');
  const { permitNext } = await import('#app/sealer');
  const allowed = await permitNext(folder, kind);
  const until = new Date(allowed.untilMs).toISOString();
  context.print(context.say(`sealer.allowed.${kind}`, { after: allowed.after, until }));
  if (allowed.nextKey !== null) {
    context.print(context.say('sealer.allowed.key'));
    context.print(allowed.nextKey);
  }
  if (allowed.kept !== null)
    context.print(context.say('log.generation.sealer-kept', { folder: allowed.kept }));
  if (context.json) context.printJson({ ...allowed, until });
  return 0;
};
