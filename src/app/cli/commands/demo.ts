import { constants } from 'node:os';
import { runDemo } from '#app/demo';
import { say } from '#base/text';
import type { Command } from '../command.ts';

const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** `fengni demo` */
export const command: Command = {
  usage: (language) => `demo [--keep]\n\n${say(language, 'demo.usage')}`,
  options: {
    keep: { type: 'boolean', text: { en: say('en', 'demo.option.keep'), zh: say('zh', 'demo.option.keep') } },
  },
  run: async (context) => {
    context.argsMax(0);
    const { stdout, env, language, json } = context;
    const isTerminal = stdout.isTTY === true;
    const ending = new AbortController();
    const end = (signal: NodeJS.Signals): void => ending.abort(new Ended(signal));
    for (const signal of endings) process.on(signal, end);
    try {
      const { status, report } = await runDemo({
        language,
        screen: json
          ? null
          : {
              write: (text) => void stdout.write(text),
              // A width of 0 is what terminals say that do not know theirs.
              columns: isTerminal ? stdout.columns || 80 : 100,
              // https://no-color.org: set and not empty
              color: isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
            },
        env,
        keep: context.flag('keep'),
        signal: ending.signal,
      });
      if (json) context.printJson(report);
      return status;
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      // All is cleaned up: end as a process ends that did not catch the signal.
      process.exit(128 + constants.signals[error.signal]);
    } finally {
      for (const signal of endings) process.removeListener(signal, end);
    }
  },
};

class Ended extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(signal);
    this.signal = signal;
  }
}
