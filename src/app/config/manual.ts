import type { Language } from '#base/text';
import { certificate, listen, type Settings, sections } from './schema.ts';
import { services } from './services.ts';
import { tomlValue } from './toml.ts';

/** The page `docs/operate/configuration.md` (or `.zh.md`), made from the schema by `npm run docs`. */
export const configurationManual = (language: Language): string => {
  const words = pageWords[language];
  return [
    `# ${words.title}`,
    '',
    words.made,
    '',
    words.intro,
    '',
    '```toml',
    example,
    '```',
    '',
    ...Object.entries(sections).flatMap(([name, settings]) => section(language, `[${name}]`, settings)),
    ...section(language, '[listen.NAME]', listen),
    words.listen,
    '',
    `| ${words.service} | ${words.port} | tls | ${words.built} |`,
    '|---|---|---|---|',
    ...Object.entries(services).map(
      ([name, { port, tls, isBuilt }]) =>
        `| \`${name}\` | ${port} | ${tls.map((mode) => `\`${mode}\``).join(', ')} | ${isBuilt ? words.yes : words.notYet} |`,
    ),
    '',
    ...section(language, '[[tls.certificate]]', certificate),
    words.certificate,
    '',
  ].join('\n');
};

const section = (language: Language, place: string, settings: Settings): string[] => {
  const words = pageWords[language];
  return [
    `## \`${place}\``,
    '',
    `| ${words.key} | ${words.fallback} | ${words.value} | ${words.meaning} |`,
    '|---|---|---|---|',
    ...Object.values(settings).map(({ key, kind, fallback, about, isLater }) => {
      const shownDefault = fallback === null ? words.none : `\`${tomlValue(fallback)}\``;
      const value = kind.expected(language).trim();
      return `| \`${key}\` | ${shownDefault} | ${value} | ${about[language]}${isLater ? ` ${words.later}` : ''} |`;
    }),
    '',
  ];
};

const example = `[server]
hostname = "mail.example.org"
data = "/var/lib/fengni"

[listen.smtp]
address = ["0.0.0.0", "::"]
port = 25

[listen.imaps]
address = ["0.0.0.0", "::"]
port = 993

[[tls.certificate]]
cert = "/etc/fengni/mail.example.org.pem"
key = "/etc/fengni/mail.example.org.key"`;

const pageWords = {
  en: {
    title: 'Configuration',
    made: '<!-- Made by "npm run docs" from src/app/config/schema.ts; do not edit. -->',
    intro:
      'Fengni needs no configuration file. To change a setting, write `fengni.toml` beside where you start it, or name a file with `--config`. An unknown key is refused. Durations are written `"30s"`, `"5m"`, `"2h"`, `"1d"`, sizes `"64KiB"`, `"50MiB"`. `fengni config check` says what is wrong, `fengni config show` what holds, `fengni config schema --json` prints a JSON Schema for editors. A change takes effect with the next start.',
    key: 'key',
    fallback: 'default',
    value: 'what may be written',
    meaning: 'meaning',
    none: '–',
    later: '*Known, but not used by this version yet.*',
    listen:
      'A section for each place where peers can connect. The services of this version are open by default; a section changes their listener or, under another name with `service = "…"`, adds one. `--port-base N` adds N to each default port.',
    service: 'service',
    port: 'default port',
    built: 'in this version',
    yes: 'yes',
    notYet: 'not yet: the name is known, nothing is opened',
    certificate:
      'Once for each certificate; both keys are needed. Without any, the server uses one of its own local authority (`DATA/tls/ca.pem`).',
  },
  zh: {
    title: '配置',
    made: '<!-- 由“npm run docs”根据 src/app/config/schema.ts 生成，请勿手工修改。 -->',
    intro:
      '封泥不需要配置文件。要改动某个设置，请在启动它的目录里写一个 `fengni.toml`，或用 `--config` 指定文件。不认识的键会被拒绝。时长写作 `"30s"`、`"5m"`、`"2h"`、`"1d"`，大小写作 `"64KiB"`、`"50MiB"`。`fengni config check` 指出哪里有误，`fengni config show` 显示实际生效的值，`fengni config schema --json` 打印供编辑器使用的 JSON Schema。改动在下次启动时生效。',
    key: '键',
    fallback: '默认值',
    value: '可以写什么',
    meaning: '含义',
    none: '–',
    later: '*认识但本版本尚未使用。*',
    listen:
      '每个可供连接的地方写一节。本版本已有的服务默认都打开；写一节可以改动其监听，或者换一个名字并写上 `service = "…"` 来增加一个。`--port-base N` 给每个默认端口加上 N。',
    service: '服务',
    port: '默认端口',
    built: '本版本',
    yes: '有',
    notYet: '尚无：名字认识，但不打开端口',
    certificate:
      '每个证书写一节，两个键都要写。一个都没有时，服务器使用自己的本地签发机构的证书（`DATA/tls/ca.pem`）。',
  },
} as const satisfies Record<Language, Record<string, string>>;
