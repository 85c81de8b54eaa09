import type { Language } from '#base/text';
import type { Command } from '../command.ts';
import { programVersion } from '../version.ts';

const usage: Readonly<Record<Language, string>> = {
  en: 'version\n\nPrints the version, and the versions of the parts it runs on.',
  zh: 'version\n\n打印版本号，以及所依赖的各部分的版本。',
};

/** `fengni version` */
export const command: Command = {
  usage: (language) => usage[language],
  options: {},
  run: async (context) => {
    context.argsMax(0);
    const parts = {
      fengni: programVersion(),
      node: process.versions.node,
      openssl: process.versions.openssl,
      sqlite: process.versions['sqlite'] ?? null,
      platform: `${process.platform} ${process.arch}`,
    };
    if (context.json) context.printJson(parts);
    else for (const [name, value] of Object.entries(parts)) context.print(`${name} ${value ?? '-'}`);
    return 0;
  },
};
