import { type CheckedConfig, configurationManual, jsonSchema, readConfig, tomlValue } from '#app/config';
import { type Language, say } from '#base/text';
import type { Command, CommandContext } from '../command.ts';
import { columns } from '../help.ts';
import { subcommand } from '../subcommands.ts';

const names = ['check', 'show', 'schema'] as const;
const form: Readonly<Record<Language, string>> = {
  en: 'config check|show|schema [--config FILE] [--json]',
  zh: 'config check|show|schema [--config 文件] [--json]',
};

/** `fengni config check|show|schema` */
export const command: Command = {
  usage: (language) =>
    [
      form[language],
      '',
      ...columns(names.map((name) => [name, say(language, `config.subcommand.${name}`)])),
    ].join('\n'),
  options: {},
  run: async (context) => {
    const name = subcommand('config', context, names);
    context.argsMax(1);
    if (name === 'schema') {
      if (context.json) context.printJson(jsonSchema());
      else context.print(configurationManual(context.language).trimEnd());
      return 0;
    }
    const checked = await readConfig({
      cwd: context.cwd,
      file: context.text('config') ?? null,
      dataFolder: context.text('data') ?? null,
      portBase: 0,
    });
    if (name === 'check') check(context, checked);
    else show(context, checked);
    return 0;
  },
};

const check = (context: CommandContext, { config, warnings }: CheckedConfig): void => {
  const told = warnings.map((warning) => warning(context.language));
  for (const warning of told) if (!context.json) context.stderr.write(`${warning}\n`);
  if (config.file === null) context.print(context.say('config.ok.defaults'));
  else context.print(context.say('config.ok', { file: config.file }));
  if (context.json) context.printJson({ file: config.file, good: true, warnings: told });
};

/** As TOML that `--config` takes; with `--json` the same tables. Settings without a value are comments, or left out. */
const show = (context: CommandContext, { settings }: CheckedConfig): void => {
  if (context.json) {
    context.printJson(asTables(settings));
    return;
  }
  let place = '';
  for (const setting of settings) {
    // Each certificate begins a table of its own, with the first of its keys.
    const isNew = setting.place !== place || (place.startsWith('[[') && setting.key === 'cert');
    if (isNew) context.print(place === '' ? setting.place : `\n${setting.place}`);
    place = setting.place;
    if (setting.value === null) context.print(`# ${setting.key}`);
    else context.print(`${setting.key} = ${tomlValue(setting.value)}`);
  }
};

const asTables = (settings: CheckedConfig['settings']): Readonly<Record<string, unknown>> => {
  const listen: Record<string, Record<string, unknown>> = {};
  const certificate: Record<string, unknown>[] = [];
  const root: Record<string, Record<string, unknown>> = {};
  for (const { place, key, value } of settings) {
    if (place === '[[tls.certificate]]') {
      if (key === 'cert') certificate.push({});
      const last = certificate.at(-1);
      if (last !== undefined && value !== null) last[key] = value;
      continue;
    }
    const name = place.slice(1, -1);
    const [tables, table] = name.startsWith('listen.') ? [listen, name.slice(7)] : [root, name];
    const entry = tables[table] ?? {};
    tables[table] = entry;
    if (value !== null) entry[key] = value;
  }
  return { ...root, listen, tls: { certificate } };
};
