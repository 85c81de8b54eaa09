import type { CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { shownTime } from './field-lines.ts';
import { withWriter } from './with-writer.ts';

const names = ['add', 'list', 'remove'] as const;

/** `fengni account app-password add|list|remove` */
export const runAppPassword = async (context: CommandContext): Promise<void> => {
  const name = subcommand('account app-password', { ...context, args: context.args.slice(1) }, names);
  const address = context.arg(2, 'A');
  if (name === 'list') {
    context.argsMax(3);
    await list(context, address);
    return;
  }
  const program = context.arg(3, 'NAME');
  context.argsMax(4);
  if (name === 'add') await add(context, address, program);
  else await remove(context, address, program);
};

const add = async (context: CommandContext, address: string, name: string): Promise<void> => {
  const added = await withWriter(context, (writer) =>
    writer.call<{ address: string; name: string; password: string }>('appPasswordAdd', { address, name }),
  );
  context.print(context.say('account.app-password.added', { address: added.address, name: added.name }));
  context.print(context.say('account.password', { password: added.password }));
  if (context.json) context.printJson(added);
};

const remove = async (context: CommandContext, address: string, name: string): Promise<void> => {
  const removed = await withWriter(context, (writer) =>
    writer.call<{ address: string; name: string }>('appPasswordRemove', { address, name }),
  );
  context.print(context.say('account.app-password.removed', removed));
  if (context.json) context.printJson(removed);
};

const list = async (context: CommandContext, address: string): Promise<void> => {
  const found = await withWriter(context, (writer) =>
    writer.call<readonly { name: string; createdMs: number }[]>('appPasswordList', { address }),
  );
  for (const { name, createdMs } of found) context.print(`${name}  ${shownTime(createdMs)}`);
  if (found.length === 0) context.print(context.say('account.app-password.none', { address }));
  if (context.json) context.printJson(found);
};
