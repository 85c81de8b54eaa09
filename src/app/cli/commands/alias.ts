import { openReadOnly } from '#app/connect';
import { say } from '#base/text';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { withWriter } from './with-writer.ts';

const names = ['add', 'remove', 'list'] as const;

/** `fengni alias add|remove|list` */
export const command: Command = {
  usage: (language) => say(language, 'alias.usage'),
  options: {},
  run: async (context) => {
    switch (subcommand('alias', context, names)) {
      case 'list':
        context.argsMax(1);
        await list(context);
        return 0;
      case 'add': {
        const given = context.arg(1, 'A');
        context.arg(2, 'TARGET');
        const targets = context.args.slice(2);
        const { address } = await withWriter(context, (writer) =>
          writer.call<{ address: string }>('aliasAdd', { address: given, targets }),
        );
        context.print(context.say('alias.added', { address, targets: targets.join(', ') }));
        if (context.json) context.printJson({ address, targets });
        return 0;
      }
      case 'remove': {
        const address = context.arg(1, 'A');
        context.argsMax(2);
        await withWriter(context, (writer) => writer.call('aliasRemove', { address }));
        context.print(context.say('alias.removed', { address }));
        if (context.json) context.printJson({ address });
        return 0;
      }
    }
  },
};

const list = async (context: CommandContext): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    const aliases = data.directory
      .rows('alias')
      .map(({ key, value }) => ({ address: key, targets: value['targets'] as readonly string[] }));
    for (const { address, targets } of aliases) context.print(`${address} -> ${targets.join(', ')}`);
    if (aliases.length === 0) context.print(context.say('alias.none'));
    if (context.json) context.printJson(aliases);
  } finally {
    data.close();
  }
};
