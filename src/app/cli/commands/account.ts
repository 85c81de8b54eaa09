import { openReadOnly, type ReadOnlyData } from '#app/connect';
import { systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { addressKey } from '#message/address';
import { generatePassword } from '#services/auth';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { UsageError } from '../usage-error.ts';
import { runAppPassword } from './account-app-password.ts';
import { fieldLines, shownTime } from './field-lines.ts';
import { readPassword } from './standard-input.ts';
import { withWriter } from './with-writer.ts';

const names = ['add', 'list', 'show', 'password', 'disable', 'enable', 'purge', 'app-password'] as const;

/** `fengni account add|list|show|password|disable|enable|purge|app-password` */
export const command: Command = {
  usage: (language) => say(language, 'account.usage'),
  options: {
    'password-stdin': {
      type: 'boolean',
      text: {
        en: say('en', 'account.option.password-stdin'),
        zh: say('zh', 'account.option.password-stdin'),
      },
    },
    'password-hash-stdin': {
      type: 'boolean',
      text: {
        en: say('en', 'account.option.password-hash-stdin'),
        zh: say('zh', 'account.option.password-hash-stdin'),
      },
    },
    yes: {
      type: 'boolean',
      text: { en: say('en', 'account.option.yes'), zh: say('zh', 'account.option.yes') },
    },
  },
  run: async (context) => {
    const name = subcommand('account', context, names);
    if (name === 'list') {
      context.argsMax(1);
      await list(context);
      return 0;
    }
    if (name === 'app-password') {
      await runAppPassword(context);
      return 0;
    }
    const address = context.arg(1, 'A');
    context.argsMax(2);
    if (name === 'show') await show(context, address);
    else if (name === 'add') await add(context, address);
    else if (name === 'password') await setPassword(context, address);
    else if (name === 'purge') await purge(context, address);
    else await setDisabled(context, address, name === 'disable');
    return 0;
  },
};

/** A password from standard input, or a new one, which goes to a person at a terminal and nowhere else. */
const newPassword = async (
  context: CommandContext,
): Promise<{ given: { password: string } | { hash: string }; shown: string | null }> => {
  const isHash = context.flag('password-hash-stdin');
  if (isHash && context.flag('password-stdin')) {
    throw new UsageError((language) => ({
      sentence: say(language, 'account.password-twice'),
      remedy: say(language, 'account.password-twice.remedy'),
    }));
  }
  if (isHash) return { given: { hash: (await readPassword(context)).trim() }, shown: null };
  if (context.flag('password-stdin'))
    return { given: { password: await readPassword(context) }, shown: null };
  if (context.stdout.isTTY !== true || context.json) {
    throw new UsageError((language) => ({
      sentence: say(language, 'account.no-terminal'),
      remedy: say(language, 'account.no-terminal.remedy'),
    }));
  }
  const password = generatePassword(systemRandom);
  return { given: { password }, shown: password };
};

const add = async (context: CommandContext, given: string): Promise<void> => {
  const { given: password, shown } = await newPassword(context);
  const added = await withWriter(context, (writer) =>
    writer.call<{ account: string; address: string }>('accountAdd', { address: given, ...password }),
  );
  context.print(context.say('account.added', { address: added.address }));
  if (shown !== null) context.print(context.say('account.password', { password: shown }));
  if (context.json) context.printJson(added);
};

const setPassword = async (context: CommandContext, address: string): Promise<void> => {
  const { given, shown } = await newPassword(context);
  await withWriter(context, (writer) => writer.call('accountPassword', { address, ...given }));
  context.print(context.say('account.password-changed', { address }));
  if (shown !== null) context.print(context.say('account.password', { password: shown }));
  if (context.json) context.printJson({ address });
};

const setDisabled = async (context: CommandContext, address: string, disabled: boolean): Promise<void> => {
  await withWriter(context, (writer) => writer.call('accountDisabled', { address, disabled }));
  context.print(context.say(disabled ? 'account.disabled' : 'account.enabled', { address }));
  if (context.json) context.printJson({ address, disabled });
};

const purge = async (context: CommandContext, given: string): Promise<void> => {
  if (!context.flag('yes')) {
    throw new UsageError((language) => ({
      sentence: say(language, 'account.purge-not-confirmed', { address: given }),
      remedy: say(language, 'account.purge-not-confirmed.remedy', { address: given }),
    }));
  }
  const purged = await withWriter(context, (writer) =>
    writer.call<{ address: string; account: string; aliases: readonly string[]; copies: number }>(
      'accountPurge',
      { address: given },
    ),
  );
  context.print(context.say('account.purged', { address: purged.address, copies: purged.copies }));
  if (purged.aliases.length > 0)
    context.print(context.say('account.purged-aliases', { aliases: purged.aliases.join(', ') }));
  if (context.json) context.printJson(purged);
};

interface Account {
  address: string;
  account: string;
  state: 'active' | 'disabled' | 'no-password';
  createdMs: number;
}

const accountsOf = ({ directory }: ReadOnlyData): Account[] =>
  directory.rows('account').map(({ key, value }) => ({
    address: key,
    account: value['id'] as string,
    state:
      value['disabled'] === true ? 'disabled' : value['passwordVersion'] === 0 ? 'no-password' : 'active',
    createdMs: value['createdMs'] as number,
  }));

const list = async (context: CommandContext): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    const accounts = accountsOf(data);
    for (const { address, state } of accounts)
      context.print(state === 'active' ? address : `${address}  (${context.say(`account.state.${state}`)})`);
    if (accounts.length === 0) context.print(context.say('account.none'));
    if (context.json) context.printJson(accounts);
  } finally {
    data.close();
  }
};

const show = async (context: CommandContext, given: string): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    const key = addressKey(given);
    const account = accountsOf(data).find(({ address }) => address === key);
    if (account === undefined) {
      throw new FengniError('account-refused', {
        subject: `${given} is no account here`,
        remedy: 'see "fengni account list" and "fengni alias list"',
        exitStatus: 2,
      });
    }
    const aliases = data.directory
      .rows('alias')
      .filter(({ value }) => (value['targets'] as readonly string[]).includes(account.address))
      .map((row) => row.key);
    context.print(account.address);
    for (const line of fieldLines([
      [context.say('account.field.state'), context.say(`account.state.${account.state}`)],
      [context.say('account.field.id'), account.account],
      [context.say('account.field.since'), shownTime(account.createdMs)],
      [context.say('account.field.aliases'), aliases.join(', ') || '-'],
    ]))
      context.print(line);
    if (context.json) context.printJson({ ...account, aliases });
  } finally {
    data.close();
  }
};
