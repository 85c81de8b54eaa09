import { openLocalWriter, openReadOnly, requireFolderLock } from '#app/connect';
import { removeProjections } from '#app/control';
import { say } from '#base/text';
import { dumpIndex } from '#store/index';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';

const withoutSnapshots = {
  type: 'boolean',
  text: {
    en: say('en', 'index.option.without-snapshots'),
    zh: say('zh', 'index.option.without-snapshots'),
  },
} as const;

/** `fengni index rebuild|dump` */
export const command: Command = {
  usage: (language) => say(language, 'index.usage'),
  options: { 'without-snapshots': withoutSnapshots },
  run: async (context) => {
    const name = subcommand('index', context, ['rebuild', 'dump']);
    context.argsMax(1);
    if (name === 'dump') await dump(context);
    else await rebuild(context);
    return 0;
  },
};

const dump = async (context: CommandContext): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    let count = 0;
    const write = (line: string): void => {
      // Line by line: a large index never stands in memory as one text.
      if (!context.json) context.print(line);
      else context.stdout.write(`${count === 0 ? '[' : ',\n'}${JSON.stringify(line)}`);
      count += 1;
    };
    for (const line of dumpIndex(data.index)) write(line);
    for (const line of data.directory.dump()) write(line);
    if (context.json) context.stdout.write(count === 0 ? '[]\n' : ']\n');
  } finally {
    data.close();
  }
};

const rebuild = async (context: CommandContext): Promise<void> => {
  const dataFolder = await context.dataFolder();
  const config = await context.config();
  const lock = await requireFolderLock(dataFolder);
  try {
    context.stderr.write(`${context.say('index.rebuilding')}\n`);
    removeProjections(dataFolder);
    const useSnapshots = !context.flag('without-snapshots');
    const writer = await openLocalWriter({ dataFolder, config, logger: context.logger, useSnapshots });
    await writer.settleTrace();
    await writer.close();
  } finally {
    lock.release();
  }
  const data = await openReadOnly(dataFolder);
  try {
    const seq = data.index.appliedSeq();
    let messages = 0;
    for (let after = 0; ; ) {
      const page = data.index.messages(after, 1_000);
      messages += page.length;
      after = page.at(-1)?.seq ?? 0;
      if (page.length < 1_000) break;
    }
    context.print(context.say('index.rebuilt', { seq, messages }));
    if (context.json) context.printJson({ seq, messages });
  } finally {
    data.close();
  }
};
