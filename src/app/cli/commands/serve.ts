import { loadConfig } from '#app/config';
import { type Served, serve as startServer } from '#app/serve';
import { systemClock } from '#base/clock';
import { createLogger } from '#base/logger';
import { say } from '#base/text';
import type { Command, CommandContext } from '../command.ts';

export const command: Command = {
  usage: (language) => `serve [--port-base N]\n\n${say(language, 'serve.usage')}`,
  options: {
    'port-base': {
      type: 'string',
      value: 'N',
      text: { en: say('en', 'serve.option.port-base'), zh: say('zh', 'serve.option.port-base') },
    },
  },
  run: async (context) => {
    context.argsMax(0);
    // From here on a signal ends in order, also while the server is starting.
    const ending = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.abort(signal));
    let hangUp = (): void => {};
    process.on('SIGHUP', () => hangUp());
    const config = await context.config();
    const logForm = context.stderr.isTTY === true ? 'text' : 'json';
    const logger = createLogger({
      clock: systemClock,
      level: config.log.level,
      form: logForm,
      write: (line) => void context.stderr.write(line),
      fields: { role: 'supervisor' },
    });
    const dataFolder = await context.dataFolder();
    const served = await startServer({
      env: context.env,
      signal: ending.signal,
      config,
      dataFolder,
      logger,
      logForm,
      reload: () =>
        loadConfig({
          cwd: context.cwd,
          file: config.file,
          dataFolder,
          portBase: context.number('port-base', 0, 65_535) ?? 0,
        }),
    });
    if (served === null) return 0;
    const asked = new Promise<'asked'>((resolve) => {
      ending.signal.addEventListener('abort', () => resolve('asked'));
    });
    hangUp = () => void served.reload();
    tell(context, served);
    context.stdout.write('ready\n');
    const cause = ending.signal.aborted ? 'asked' : await Promise.race([asked, served.failed]);
    if (cause === 'asked') logger.info('stopping', { signal: String(ending.signal.reason) });
    await served.stop();
    if (cause !== 'asked') throw cause;
    return 0;
  },
};

/** What people need to know; standard output has the one line that programs wait for. */
const tell = (context: CommandContext, served: Served): void => {
  const line = (text: string): void => void context.stderr.write(`${text}\n`);
  for (const { name, addresses, port } of served.listening) {
    line(`${name.padEnd(12)} ${addresses.map((address) => placeOf(address, port)).join('  ')}`);
  }
  if (served.firstLogin !== null) {
    const { file, address, password } = served.firstLogin;
    line(context.say('serve.first-login', { file }));
    // The password goes to a person at a terminal, never into a log.
    if (context.stderr.isTTY === true) line(context.say('serve.first-password', { address, password }));
  }
  line(context.say('serve.unwitnessed'));
};

const placeOf = (address: string, port: number): string =>
  address.startsWith('/')
    ? `unix:${address}`
    : address.includes(':')
      ? `[${address}]:${port}`
      : `${address}:${port}`;
