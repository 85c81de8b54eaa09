import path from 'node:path';
import { type Language, type ParametersOf, say, suggest, type TextKey } from '#base/text';
import type { CertificateFiles, Config, Listener } from './config.ts';
import { ConfigError, type Problem } from './config-error.ts';
import { shown } from './kinds.ts';
import { certificate, listen, type Settings, sections, type ValuesOf } from './schema.ts';
import { isServiceName, type ServiceName, serviceNames, services } from './services.ts';

/** One setting with the value it has, for `config show`. */
export interface EffectiveSetting {
  /** `[smtp]`, `[listen.imaps]`, `[[tls.certificate]]` */
  readonly place: string;
  readonly key: string;
  /** as it would stand in the file; null: none */
  readonly value: unknown;
  readonly isDefault: boolean;
}

export interface CheckedConfig {
  readonly config: Config;
  readonly settings: readonly EffectiveSetting[];
  readonly warnings: readonly Problem[];
}

export interface CheckOptions {
  /** absolute path of the file that the table came from, or null */
  file: string | null;
  /** absolute; where relative paths of defaults start */
  cwd: string;
  /** absolute path that wins over `[server] data`, or null */
  dataFolder: string | null;
  /** added to each default port */
  portBase: number;
}

type Table = Readonly<Record<string, unknown>>;

const sectionsMax = 64;

/**
 * Checks a table as read from `fengni.toml` and completes it with defaults.
 *
 * @throws {ConfigError} naming every wrong setting at once
 */
export const checkConfig = (root: Table, options: CheckOptions): CheckedConfig => {
  const report: Report = { problems: [], warnings: [], settings: [] };
  refuseUnknownSections(root, report);
  const values = {} as { [Name in keyof typeof sections]: ValuesOf<(typeof sections)[Name]> };
  const read = <Name extends keyof typeof sections>(name: Name): void => {
    values[name] = readTable(
      sections[name] as Settings,
      root[name],
      `[${name}]`,
      name,
      report,
    ) as (typeof values)[Name];
  };
  for (const name of Object.keys(sections) as (keyof typeof sections)[]) read(name);
  const listeners = readListeners(root['listen'], options.portBase, report);
  const folder = options.file === null ? options.cwd : path.dirname(options.file);
  const certificates = readCertificates(root['tls'], folder, report);
  if (report.problems.length > 0) throw new ConfigError(report.problems);

  const dataIsDefault = report.settings.some(
    ({ place, key, isDefault }) => place === '[server]' && key === 'data' && isDefault,
  );
  const data = options.dataFolder ?? path.resolve(dataIsDefault ? options.cwd : folder, values.server.data);
  const { socket } = values.sealer;
  const config: Config = {
    ...values,
    server: { ...values.server, data },
    sealer: { socket: socket === null ? null : path.resolve(folder, socket) },
    file: options.file,
    listeners,
    tls: { certificates },
  };
  return { config: deepFreeze(config), settings: report.settings, warnings: report.warnings };
};

interface Report {
  problems: Problem[];
  warnings: Problem[];
  settings: EffectiveSetting[];
}

const problem =
  <Key extends TextKey>(key: Key, ...parameters: ParametersOf<Key>): Problem =>
  (language) =>
    say(language, key, ...parameters);

const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

const guess = (language: Language, word: string, known: readonly string[]): string => {
  const name = suggest(word, known);
  return name === null ? say(language, 'config.remove-it') : say(language, 'config.did-you-mean', { name });
};

const refuseUnknownSections = (root: Table, { problems }: Report): void => {
  const known = [...Object.keys(sections), 'listen', 'tls'];
  for (const name of Object.keys(root)) {
    if (known.includes(name)) continue;
    problems.push(
      (language) =>
        say(language, 'config.unknown-section', { name: shortName(name) }) + guess(language, name, known),
    );
  }
};

/** The values of one table of settings, problems noted; what was refused is left out, and nobody sees it: the check throws. */
const readTable = (
  settings: Settings,
  given: unknown,
  place: string,
  name: string,
  report: Report,
): Table => {
  const values: Record<string, unknown> = {};
  if (given !== undefined && !isTable(given)) {
    report.problems.push(problem('config.not-a-table', { name }));
    return values;
  }
  const table = given ?? {};
  const keys = Object.values(settings).map(({ key }) => key);
  for (const key of Object.keys(table)) {
    if (keys.includes(key)) continue;
    report.problems.push(
      (language) =>
        say(language, 'config.unknown-key', { place, key: shortName(key) }) + guess(language, key, keys),
    );
  }
  for (const [sourceName, { key, kind, fallback, isLater }] of Object.entries(settings)) {
    const isDefault = !Object.hasOwn(table, key);
    const value = isDefault ? fallback : table[key];
    report.settings.push({ place, key, value, isDefault });
    if (isDefault && fallback === null) {
      values[sourceName] = null;
      continue;
    }
    if (!isDefault && isLater) report.warnings.push(problem('config.warn.later', { place, key }));
    const checked = kind.check(value);
    if ('value' in checked && !('refused' in checked)) values[sourceName] = checked.value;
    else if ('refused' in checked) {
      report.problems.push((language) =>
        say(language, 'config.bad-value', {
          place,
          key,
          value: shown(checked.value),
          ...checked.refused(language),
        }),
      );
    }
  }
  return values;
};

const shortName = (name: string): string =>
  (name.length <= 60 ? name : `${name.slice(0, 57)}...`).replace(/\p{Cc}/gu, '?');

const readListeners = (given: unknown, portBase: number, report: Report): readonly Listener[] => {
  if (given !== undefined && !isTable(given)) {
    report.problems.push(problem('config.not-a-table', { name: 'listen' }));
    return [];
  }
  const tables: Table = given ?? {};
  const extra = Object.keys(tables).filter((name) => !isServiceName(name));
  const names = [
    ...serviceNames.filter((name) => services[name].isBuilt || Object.hasOwn(tables, name)),
    ...extra.sort(),
  ];
  const listeners: Listener[] = [];
  for (const name of names.slice(0, sectionsMax)) {
    const listener = readListener(name, tables[name], portBase, report);
    if (listener !== null) listeners.push(listener);
  }
  if (names.length > sectionsMax) {
    report.problems.push(problem('config.more-listeners', { max: sectionsMax }));
  }
  refuseSamePorts(listeners, report);
  return listeners;
};

const readListener = (name: string, given: unknown, portBase: number, report: Report): Listener | null => {
  const section = `listen.${shortName(name)}`;
  const place = `[${section}]`;
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) {
    report.problems.push(problem('config.listener-name', { name: shortName(name) }));
    return null;
  }
  const before = report.problems.length;
  const values = readTable(listen, given, place, section, report) as ValuesOf<typeof listen>;
  const service = values.service ?? (isServiceName(name) ? name : null);
  if (report.problems.length > before) return null;
  if (service === null) {
    report.problems.push((language) =>
      say(language, 'config.service-required', {
        name: shortName(name),
        expected: listen.service.kind.expected(language),
      }),
    );
    return null;
  }
  if (isServiceName(name) && name !== service) {
    report.problems.push(problem('config.service-other-name', { name, service }));
  }
  const { port: defaultPort, tls: modes, isBuilt } = services[service];
  const isPortGiven = values.port !== null;
  const port = values.port ?? defaultPort + portBase;
  const tls = values.tls ?? modes[0];
  settle(report, place, { service, port, tls });
  if (!(modes as readonly string[]).includes(tls)) {
    const expected = modes.map((mode) => `"${mode}"`).join(', ');
    report.problems.push(
      problem('config.tls-not-for-service', { name: shortName(name), value: tls, service, expected }),
    );
  }
  if (service !== 'lmtp' && values.addresses.some((address) => address.startsWith('unix:'))) {
    report.problems.push(problem('config.unix-not-for-service', { name: shortName(name) }));
  }
  if (!values.isEnabled) return null;
  if (!isBuilt) {
    report.warnings.push(problem('config.warn.service-later', { name: shortName(name), service }));
    return null;
  }
  if (!isPortGiven && port > 65_535) {
    report.problems.push(
      problem('config.port-base-range', {
        base: portBase,
        port: defaultPort,
        name: shortName(name),
        sum: port,
        max: 65_535 - defaultPort,
      }),
    );
  }
  return {
    name,
    service,
    addresses: [...new Set(values.addresses)],
    addressesAreDefault: !isTable(given) || !Object.hasOwn(given, listen.addresses.key),
    port,
    tls,
    socketMode: Number.parseInt(values.socketMode, 8),
    proxyFrom: values.proxyFrom,
  };
};

/** Puts in the defaults that depend on the service, so that `config show` prints what holds. */
const settle = (
  report: Report,
  place: string,
  values: { service: ServiceName; port: number; tls: string },
): void => {
  for (const [index, setting] of report.settings.entries()) {
    if (setting.place !== place || !setting.isDefault || setting.value !== null) continue;
    const value = Object.hasOwn(values, setting.key) ? values[setting.key as keyof typeof values] : null;
    report.settings[index] = { ...setting, value };
  }
};

const refuseSamePorts = (listeners: readonly Listener[], { problems }: Report): void => {
  const taken: { address: string; port: number; name: string }[] = [];
  for (const { name, addresses, port } of listeners) {
    if (port === 0) continue;
    const clash = taken.find(
      (other) => other.port === port && addresses.some((one) => overlaps(one, other.address)),
    );
    if (clash !== undefined) {
      const { address } = clash;
      const place = `[listen.${shortName(name)}]`;
      problems.push(problem('config.same-port', { place, address, port, other: shortName(clash.name) }));
    }
    for (const address of addresses) taken.push({ address, port, name });
  }
};

const overlaps = (a: string, b: string): boolean => {
  if (a.startsWith('unix:') || b.startsWith('unix:')) return a === b;
  const isSix = (address: string): boolean => address.includes(':');
  if (isSix(a) !== isSix(b)) return false;
  return a === b || [a, b].some((address) => address === '0.0.0.0' || address === '::');
};

const readCertificates = (given: unknown, folder: string, report: Report): readonly CertificateFiles[] => {
  if (given === undefined) return [];
  if (!isTable(given)) {
    report.problems.push(problem('config.not-a-table', { name: 'tls' }));
    return [];
  }
  for (const key of Object.keys(given)) {
    if (key === 'certificate') continue;
    report.problems.push(
      (language) =>
        say(language, 'config.unknown-key', { place: '[tls]', key: shortName(key) }) +
        guess(language, key, ['certificate']),
    );
  }
  const list = given['certificate'] ?? [];
  if (!Array.isArray(list) || list.length > sectionsMax) {
    report.problems.push(problem('config.not-an-array', { name: 'tls.certificate' }));
    return [];
  }
  const certificates: CertificateFiles[] = [];
  for (const entry of list) {
    const before = report.problems.length;
    const values = readTable(certificate, entry, '[[tls.certificate]]', 'tls.certificate', report);
    const { cert, key } = values as ValuesOf<typeof certificate>;
    if (report.problems.length > before) continue;
    if (cert === null || key === null) {
      report.problems.push(problem('config.certificate-pair'));
      continue;
    }
    certificates.push({ cert: path.resolve(folder, cert), key: path.resolve(folder, key) });
  }
  return certificates;
};

const deepFreeze = <Value>(value: Value): Value => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
};
