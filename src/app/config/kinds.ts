import net from 'node:net';
import { parseDuration, parseSize } from '#base/limits';
import { type Language, say } from '#base/text';

/** A value that is not what a setting takes: which kind it should be, and what to use. */
export interface Refusal {
  refused: (language: Language) => { kind: string; expected: string };
  /** the value itself, or the entry of a list */
  value: unknown;
}

/** A kind of setting: how its value is checked, described to people, and to programs. */
export interface Kind<Value> {
  /** the checked value, or why it is none */
  check(value: unknown): { value: Value } | Refusal;
  /** what may be written, to put after "use" */
  expected(language: Language): string;
  jsonSchema: Readonly<Record<string, unknown>>;
}

type KindName =
  | 'text'
  | 'boolean'
  | 'integer'
  | 'port'
  | 'duration'
  | 'size'
  | 'choice'
  | 'hostname'
  | 'path';
type LongKindName = 'address' | 'network' | 'endpoint' | 'host-port' | 'list';

const kind = <Value>(
  name: KindName | LongKindName,
  expected: (language: Language) => string,
  jsonSchema: Readonly<Record<string, unknown>>,
  read: (value: unknown) => Value | null,
): Kind<Value> => ({
  expected,
  jsonSchema,
  check: (value) => {
    const checked = read(value);
    if (checked !== null) return { value: checked };
    return {
      refused: (language) => ({ kind: say(language, `config.kind.${name}`), expected: expected(language) }),
      value,
    };
  },
});

const textLengthMax = 1_024;
const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= textLengthMax && !/\p{Cc}/u.test(value);

export const text: Kind<string> = kind(
  'text',
  (language) => say(language, 'config.use.text', { max: textLengthMax }),
  { type: 'string', minLength: 1, maxLength: textLengthMax },
  (value) => (isText(value) ? value : null),
);

export const path: Kind<string> = kind(
  'path',
  (language) => say(language, 'config.use.path'),
  { type: 'string', minLength: 1, maxLength: textLengthMax },
  (value) => (isText(value) ? value : null),
);

export const boolean: Kind<boolean> = kind(
  'boolean',
  (language) => say(language, 'config.use.boolean'),
  { type: 'boolean' },
  (value) => (typeof value === 'boolean' ? value : null),
);

const whole = (name: 'integer' | 'port', min: number, max: number): Kind<number> =>
  kind(
    name,
    (language) => say(language, 'config.use.range', { min, max }),
    { type: 'integer', minimum: min, maximum: max },
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : null,
  );

export const integer = (min: number, max: number): Kind<number> => whole('integer', min, max);

/** A TCP port that peers use. */
export const port: Kind<number> = whole('port', 1, 65_535);

/** A TCP port to listen on; 0 takes one that is free. The message names 1 to 65535, which is what nearly everybody wants. */
export const listenPort: Kind<number> = {
  ...port,
  jsonSchema: { type: 'integer', minimum: 0, maximum: 65_535 },
  check: (value) => (value === 0 ? { value: 0 } : port.check(value)),
};

/** Milliseconds, written as `"30s"`. */
export const duration = (min: string, max: string): Kind<number> => {
  const [minMs, maxMs] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  return kind(
    'duration',
    (language) => say(language, 'config.use.duration', { min, max }),
    { type: 'string', pattern: '^[0-9]{1,12}(ms|s|m|h|d|w)$' },
    (value) => bounded(typeof value === 'string' ? parseDuration(value) : null, minMs, maxMs),
  );
};

/** Octets, written as `"50MiB"`. */
export const size = (min: string, max: string): Kind<number> => {
  const [minBytes, maxBytes] = [parseSize(min) ?? 0, parseSize(max) ?? 0];
  return kind(
    'size',
    (language) => say(language, 'config.use.size', { min, max }),
    { type: 'string', pattern: '^[0-9]{1,12}(B|KiB|MiB|GiB|TiB)$' },
    (value) => bounded(typeof value === 'string' ? parseSize(value) : null, minBytes, maxBytes),
  );
};

const bounded = (value: number | null, min: number, max: number): number | null =>
  value !== null && value >= min && value <= max ? value : null;

export const choice = <const Word extends string>(...words: readonly Word[]): Kind<Word> =>
  kind(
    'choice',
    (language) => words.map((word) => `"${word}"`).join(language === 'zh' ? '、' : ', '),
    { enum: words },
    (value) => words.find((word) => word === value) ?? null,
  );

/** A full host name in A-labels, in lower case. @source RFC 1123 §2.1, RFC 1035 §2.3.4 */
export const hostname: Kind<string> = kind(
  'hostname',
  (language) => say(language, 'config.use.hostname'),
  { type: 'string', format: 'hostname' },
  (value) => (typeof value === 'string' && isHostname(value) ? value.toLowerCase() : null),
);

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const hostnamePattern = new RegExp(`^${label}(?:\\.${label})+$`, 'i');
const isHostname = (name: string): boolean =>
  name.length <= 253 && hostnamePattern.test(name) && !/\.\d+$/.test(name);

/** An IP address as the system writes it, or `unix:/path`. */
export const listenAddress: Kind<string> = kind(
  'address',
  (language) => say(language, 'config.use.address'),
  { type: 'string' },
  (value) => {
    if (!isText(value)) return null;
    if (value.startsWith('unix:/')) return new TextEncoder().encode(value).length <= 5 + 107 ? value : null;
    return canonicalIp(value);
  },
);

/** One spelling an address, so that two listeners on it are seen. A zone (`fe80::1%eth0`) is refused. */
const canonicalIp = (address: string): string | null => {
  const family = net.isIP(address);
  if (family === 0 || address.includes('%')) return null;
  return family === 4 ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);
};

/** An address or network in CIDR form; an address alone is a network of one. @source RFC 4632 §3.1, RFC 4291 §2.3 */
export const network: Kind<string> = kind(
  'network',
  (language) => say(language, 'config.use.network'),
  { type: 'string' },
  (value) => (typeof value === 'string' ? canonicalNetwork(value) : null),
);

const canonicalNetwork = (value: string): string | null => {
  const [, written = '', bits] = /^([0-9a-fA-F:.]{2,45})(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const address = canonicalIp(written);
  if (address === null) return null;
  const bitsMax = net.isIP(address) === 4 ? 32 : 128;
  const prefix = bits === undefined ? bitsMax : Number(bits);
  if (prefix > bitsMax || hasHostBits(address, prefix, bitsMax)) return null;
  return `${address}/${prefix}`;
};

const hasHostBits = (address: string, prefix: number, bitsMax: number): boolean => {
  const octets = addressOctets(address);
  for (let bit = prefix; bit < bitsMax; bit++) {
    if (((octets[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) return true;
  }
  return false;
};

/** 4 or 16 octets of an address in canonical spelling. */
const addressOctets = (address: string): number[] => {
  if (net.isIP(address) === 4) return address.split('.').map(Number);
  const [head = '', tail] = address.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const middle = new Array<number>(8 - front.length - back.length).fill(0);
  return [...front, ...middle, ...back].flatMap((group) => [group >> 8, group & 255]);
};

/** `127.0.0.1:53` or `[::1]:53`. */
export const endpoint: Kind<string> = kind(
  'endpoint',
  (language) => say(language, 'config.use.endpoint'),
  { type: 'string' },
  (value) => {
    const [, six, four, written] =
      (typeof value === 'string' && /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(value)) || [];
    const address = canonicalIp(six ?? four ?? '');
    if (address === null || net.isIP(address) !== (six === undefined ? 4 : 6)) return null;
    if (!isPort(written)) return null;
    return six === undefined ? `${address}:${Number(written)}` : `[${address}]:${Number(written)}`;
  },
);

/** `relay.example.org:587`. */
export const hostPort: Kind<string> = kind(
  'host-port',
  (language) => say(language, 'config.use.host-port'),
  { type: 'string' },
  (value) => {
    const [, host = '', written] = (typeof value === 'string' && /^(.{1,253}):(\d{1,5})$/.exec(value)) || [];
    return isHostname(host) && isPort(written) ? `${host.toLowerCase()}:${Number(written)}` : null;
  },
);

const isPort = (digits: string | undefined): boolean => {
  const number = Number(digits ?? Number.NaN);
  return number >= 1 && number <= 65_535;
};

/** A list, or, where a single value is allowed to stand for a list of one, that value. */
export const list = <Value>(
  item: Kind<Value>,
  options: { min: number; max: number; singleAllowed?: boolean },
): Kind<readonly Value[]> => {
  const { min, max, singleAllowed = false } = options;
  const array = { type: 'array', items: item.jsonSchema, minItems: min, maxItems: max };
  const shape = kind<readonly unknown[]>(
    'list',
    (language) => say(language, 'config.use.list', { min, max, item: item.expected(language) }),
    singleAllowed ? { anyOf: [item.jsonSchema, array] } : array,
    (value) => {
      if (Array.isArray(value)) return value.length >= min && value.length <= max ? value : null;
      return singleAllowed && value !== null && typeof value !== 'object' ? [value] : null;
    },
  );
  return {
    expected: shape.expected,
    jsonSchema: shape.jsonSchema,
    check: (value) => {
      const checked = shape.check(value);
      if ('refused' in checked) return checked;
      const values: Value[] = [];
      for (const entry of checked.value) {
        const one = item.check(entry);
        if ('refused' in one) return one;
        values.push(one.value);
      }
      return { value: Object.freeze(values) };
    },
  };
};

/** A value as it stands in a configuration file, for messages; a long one is cut. */
export const shown = (value: unknown): string => {
  const written = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return written.length <= 60 ? written : `${written.slice(0, 57)}...`;
};
