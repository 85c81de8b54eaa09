import { openReadOnly } from '#app/connect';
import { say } from '#base/text';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { shownTime } from './field-lines.ts';
import { withWriter } from './with-writer.ts';

const names = ['add', 'release', 'list'] as const;

/** `fengni hold add|release|list` */
export const command: Command = {
  usage: (language) => say(language, 'hold.usage'),
  options: {
    reason: {
      type: 'string',
      value: 'TEXT',
      text: { en: say('en', 'hold.option.reason'), zh: say('zh', 'hold.option.reason') },
    },
  },
  run: async (context) => {
    const name = subcommand('hold', context, names);
    if (name === 'list') {
      context.argsMax(1);
      await list(context);
      return 0;
    }
    const given = context.arg(1, 'A');
    context.argsMax(2);
    const { address } = await withWriter(context, (writer) =>
      name === 'add'
        ? writer.call<{ address: string }>('holdAdd', {
            address: given,
            reason: context.text('reason') ?? '',
          })
        : writer.call<{ address: string }>('holdRelease', { address: given }),
    );
    context.print(context.say(name === 'add' ? 'hold.added' : 'hold.released', { address }));
    if (context.json) context.printJson({ address, held: name === 'add' });
    return 0;
  },
};

const list = async (context: CommandContext): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    const addresses = new Map(data.directory.rows('account').map(({ key, value }) => [value['id'], key]));
    const holds = data.directory.rows('hold').map(({ key, value }) => ({
      address: addresses.get(key) ?? key,
      account: key,
      createdMs: value['createdMs'] as number,
      reason: value['reason'] as string,
    }));
    for (const { address, createdMs, reason } of holds)
      context.print(`${address}  ${shownTime(createdMs)}${reason === '' ? '' : `  ${reason}`}`);
    if (holds.length === 0) context.print(context.say('hold.none'));
    if (context.json) context.printJson(holds);
  } finally {
    data.close();
  }
};
