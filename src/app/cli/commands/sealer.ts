import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import { createLogger } from '#base/logger';
import { say } from '#base/text';
import type { Command } from '../command.ts';

/** `fengni sealer`: the one who signs, as a service of its own under a user of its own. */
export const command: Command = {
  usage: (language) => `sealer --state DIR --socket S [--data DIR]\n\n${say(language, 'sealer.usage')}`,
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
    context.argsMax(0);
    const ending = Promise.withResolvers<NodeJS.Signals>();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.resolve(signal));
    const [state, socket] = ['state', 'socket'].map((name) => {
      const value = context.text(name);
      if (value !== undefined) return value;
      throw new FengniError('usage', {
        subject: say(context.language, 'sealer.option-missing', { name: `--${name}` }),
        remedy: 'fengni sealer --help',
        exitStatus: 2,
      });
    }) as [string, string];
    const path = await import('node:path');
    const { startSealerService } = await import('#app/sealer');
    const logger = createLogger({
      clock: systemClock,
      level: 'info',
      form: context.stderr.isTTY === true ? 'text' : 'json',
      write: (line) => void context.stderr.write(line),
      fields: { role: 'sealer' },
    });
    const service = await startSealerService({
      stateFolder: path.resolve(context.cwd, state),
      socket: path.resolve(context.cwd, socket),
      dataFolder: await context.dataFolder(),
      logger,
    });
    context.stdout.write('ready\n');
    logger.info('stopping', { signal: await ending.promise });
    await service.stop();
    return 0;
  },
};
