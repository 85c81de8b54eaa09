import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import {
  type CheckedConfig,
  ConfigError,
  checkConfig,
  jsonSchema,
  loadConfig,
  readConfig,
  tomlValue,
} from './index.ts';

const check = (text: string, portBase = 0, dataFolder: string | null = null): CheckedConfig =>
  checkConfig(parse(text), {
    file: text === '' ? null : '/etc/f/fengni.toml',
    cwd: '/home/x',
    dataFolder,
    portBase,
  });

const problems = (text: string, portBase = 0): string[] => {
  try {
    check(text, portBase);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, 'config-invalid');
    assert.equal(error.exitStatus, 2);
    for (const problem of error.problems) assert.notEqual(problem('zh'), problem('en'));
    return error.problems.map((problem) => problem('en'));
  }
  return [];
};

test('without a file every setting has its default, and the services of this version are open on loopback', () => {
  const { config, warnings } = check('');
  assert.deepEqual(
    config.listeners.map(({ name, service, port, tls }) => [name, service, port, tls]),
    [
      ['smtp', 'smtp', 2525, 'starttls'],
      ['lmtp', 'lmtp', 2424, 'none'],
      ['imaps', 'imaps', 2993, 'implicit'],
      ['imap', 'imap', 2143, 'starttls'],
      ['pop3s', 'pop3s', 2995, 'implicit'],
      ['pop3', 'pop3', 2110, 'starttls'],
      ['https', 'https', 2443, 'implicit'],
      ['metrics', 'metrics', 2909, 'none'],
    ],
  );
  for (const { addresses, addressesAreDefault } of config.listeners) {
    assert.deepEqual([addresses, addressesAreDefault], [['127.0.0.1', '::1'], true]);
  }
  assert.equal(config.server.hostname, 'mail.fengni.test');
  assert.equal(config.server.data, '/home/x/data');
  assert.equal(config.server.user, null);
  assert.equal(config.smtp.sizeBytesMax, 52_428_800);
  assert.equal(config.smtp.recipientsMax, 1_000);
  assert.deepEqual(config.limits.trusted, ['127.0.0.0/8', '::1/128']);
  assert.deepEqual(config.tls.certificates, []);
  assert.equal(config.file, null);
  assert.deepEqual(warnings, []);
});

test('the value is frozen through and through', () => {
  const { config } = check('');
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    assert.ok(Object.isFrozen(value));
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(config);
});

test('--port-base moves default ports only; 0 stays a free one', () => {
  const { config } = check('[listen.imap]\nport = 143\n[listen.pop3]\nport = 0', 20_000);
  const ports = Object.fromEntries(config.listeners.map(({ name, port }) => [name, port]));
  assert.deepEqual(ports, {
    smtp: 22_525,
    lmtp: 22_424,
    imaps: 22_993,
    imap: 143,
    pop3s: 22_995,
    pop3: 0,
    https: 22_443,
    metrics: 22_909,
  });
});

test('--port-base that leads beyond 65535 is refused with the largest that would do', () => {
  assert.deepEqual(problems('[listen.imaps]\nenabled = false\n[listen.pop3s]\nenabled = false', 62_620), []);
  assert.deepEqual(problems('[listen.pop3s]\nenabled = false', 62_600), [
    '--port-base 62600: port 2993 of [listen.imaps] becomes 65593; use at most 62542',
  ]);
});

test('a listener of another name needs a service, and takes its defaults', () => {
  const { config } = check(
    '[listen.public]\nservice = "smtp"\naddress = "0.0.0.0"\nport = 25\nproxy_from = ["10.0.0.0/8", "192.0.2.1"]',
  );
  assert.deepEqual(config.listeners.at(-1), {
    name: 'public',
    service: 'smtp',
    addresses: ['0.0.0.0'],
    addressesAreDefault: false,
    port: 25,
    tls: 'starttls',
    socketMode: 0o660,
    proxyFrom: ['10.0.0.0/8', '192.0.2.1/32'],
  });
  assert.match(
    problems('[listen.public]\nport = 25')[0] ?? '',
    /^\[listen\.public\] service: "public" is not a service, so say which one this is; use "smtp"/,
  );
});

test('relative paths start at the folder of the file; --data wins', () => {
  const text = '[server]\ndata = "mail"\n[[tls.certificate]]\ncert = "a.pem"\nkey = "/k/a.key"';
  assert.equal(check(text).config.server.data, '/etc/f/mail');
  assert.equal(
    check('[server]\n').config.server.data,
    '/home/x/data',
    'the default starts where the command was started',
  );
  assert.equal(check(text, 0, '/d').config.server.data, '/d');
  assert.deepEqual(check(text).config.tls.certificates, [{ cert: '/etc/f/a.pem', key: '/k/a.key' }]);
});

const refused: readonly [toml: string, message: string | RegExp][] = [
  ['[listen.smtp]\nport = 70000', '[listen.smtp] port: 70000 is not a port; use 1 to 65535'],
  ['[listen.smtp]\nport = "25"', '[listen.smtp] port: "25" is not a port; use 1 to 65535'],
  ['[listen.smtp]\nport = 25.5', '[listen.smtp] port: 25.5 is not a port; use 1 to 65535'],
  ['[listen.smtp]\nprot = 25', '[listen.smtp] prot: there is no such setting; did you mean "port"?'],
  [
    '[listen.smtp]\nfrobnicate = 25',
    '[listen.smtp] frobnicate: there is no such setting; remove it, or see "fengni config schema"',
  ],
  ['[sever]\ndata = "x"', '[sever]: there is no such section; did you mean "server"?'],
  ['data = "x"', /^\[data\]: there is no such section/],
  ['server = 5', '[server]: write a section, not a single value'],
  ['listen = []', '[listen]: write a section, not a single value'],
  ['[listen]\nsmtp = 25', '[listen.smtp]: write a section, not a single value'],
  [
    '[smtp]\nsize_max = "50MB"',
    '[smtp] size_max: "50MB" is not a size; use "64KiB" to "1GiB", such as "50MiB", "64KiB"',
  ],
  ['[smtp]\nsize_max = 52428800', /^\[smtp\] size_max: 52428800 is not a size/],
  ['[smtp]\nsize_max = "2GiB"', /^\[smtp\] size_max: "2GiB" is not a size; use "64KiB" to "1GiB"/],
  ['[smtp]\nrecipients_max = 99', '[smtp] recipients_max: 99 is not a whole number; use 100 to 10000'],
  [
    '[smtp]\nbinarymime = "yes"',
    '[smtp] binarymime: "yes" is not true or false; use true or false, without quotes',
  ],
  ['[delivery]\nretry = ["5m", "soon"]', /^\[delivery\] retry: "soon" is not a duration; use "1s" to "7d"/],
  ['[delivery]\nretry = []', /^\[delivery\] retry: \[\] is not a list; use 1 to 50 values in brackets/],
  [
    '[server]\nhostname = "localhost"',
    /^\[server\] hostname: "localhost" is not a full host name; use a name with at least one dot/,
  ],
  ['[server]\nhostname = "-a.example"', /is not a full host name/],
  ['[server]\nhostname = "192.0.2.1"', /is not a full host name/],
  ['[server]\ndata = ""', /^\[server\] data: "" is not a path/],
  ['[server]\ndata = "a\\u0000b"', /^\[server\] data: .* is not a path/],
  [
    '[listen.smtp]\naddress = "localhost"',
    /^\[listen\.smtp\] address: "localhost" is not an address to listen on; use an IP address/,
  ],
  [
    '[listen.smtp]\naddress = ["127.0.0.1", "fe80::1%eth0"]',
    /^\[listen\.smtp\] address: "fe80::1%eth0" is not an address to listen on/,
  ],
  [
    '[listen.smtp]\naddress = "unix:/run/x"',
    '[listen.smtp] address: a Unix socket is for lmtp only; use an IP address',
  ],
  ['[listen.imap]\ntls = "none"', '[listen.imap] tls: "none" is not for imap; use "starttls", "implicit"'],
  ['[listen.https]\ntls = "starttls"', '[listen.https] tls: "starttls" is not for https; use "implicit"'],
  [
    '[listen.imap]\ntls = "ssl"',
    /^\[listen\.imap\] tls: "ssl" is not one of the words known here; use "none", "starttls", "implicit"/,
  ],
  [
    '[listen.a]\nservice = "smtp"',
    '[listen.a] port: 127.0.0.1 port 2525 is taken by [listen.smtp] already; use another port or address',
  ],
  [
    '[listen.imap]\nport = 2525\naddress = "0.0.0.0"',
    /^\[listen\.imap\] port: 127\.0\.0\.1 port 2525 is taken by \[listen\.smtp\]/,
  ],
  ['[listen.imap]\nport = 2525\naddress = "0:0::1"', /^\[listen\.imap\] port: ::1 port 2525 is taken/],
  [
    '[limits]\ntrusted = ["10.0.0.1/8"]',
    /^\[limits\] trusted: "10\.0\.0\.1\/8" is not an IP address or network/,
  ],
  ['[limits]\ntrusted = ["10.0.0.0/33"]', /is not an IP address or network/],
  ['[limits]\ntrusted = ["2001:db8::1/32"]', /is not an IP address or network/],
  ['[limits]\ntrusted = "10.0.0.0/8"', /^\[limits\] trusted: "10\.0\.0\.0\/8" is not a list/],
  ['[dns]\nresolvers = ["127.0.0.1"]', /^\[dns\] resolvers: "127\.0\.0\.1" is not an IP address with a port/],
  ['[delivery]\nsmart_host = "relay.example.org"', /is not a host with a port/],
  ['[[tls.certificate]]\ncert = "a"', '[[tls.certificate]]: needs both cert and key'],
  ['[tls]\ncertificate = "a"', '[[tls.certificate]]: write it in double brackets, once for each'],
  ['[tls]\ncertificates = []', '[tls] certificates: there is no such setting; did you mean "certificate"?'],
  [
    '[listen.imaps]\nservice = "smtp"\ntls = "starttls"\nport = 1',
    '[listen.imaps] service: a listener called imaps serves imaps, not smtp; use another name for it',
  ],
  ['[listen.__proto__]\nservice = "smtp"', /^\[listen\.__proto__\]: not a name for a listener; use 1 to 32/],
  ['[listen."a b"]\nservice = "smtp"', /^\[listen\.a b\]: not a name for a listener/],
  [
    '[log]\nlevel = "trace"',
    /^\[log\] level: "trace" is not one of the words known here; use "debug", "info", "warn", "error"$/,
  ],
  ['[server]\n__proto__ = 1', /there is no such setting/],
  ['[constructor]\na = 1', /there is no such section/],
];

for (const [toml, message] of refused) {
  test(`refused, naming key, value and remedy: ${toml.replaceAll('\n', ' ').slice(0, 80)}`, () => {
    const found = problems(toml);
    assert.equal(found.length, 1, found.join('\n'));
    if (typeof message === 'string') assert.equal(found[0], message);
    else assert.match(found[0] ?? '', message);
  });
}

test('every wrong setting is named at once, and a flood of them is cut', () => {
  assert.equal(problems('[listen.smtp]\nport = 70000\n[smtp]\nsize_max = 1\nx = 2').length, 3);
  const many = `[smtp]\n${Array.from({ length: 50 }, (_, index) => `x${index} = 1`).join('\n')}`;
  assert.throws(
    () => check(many),
    (error: ConfigError) => {
      const lines = error.spoken('en').sentence.split('\n');
      return lines.length === 21 && lines.at(-1) === '30 more';
    },
  );
});

test('the number of listeners is bounded', () => {
  const many = Array.from(
    { length: 70 },
    (_, index) => `[listen.l${index}]\nservice = "smtp"\nport = 0\n`,
  ).join('');
  assert.deepEqual(problems(many), ['listen: more than 64 listeners; remove some']);
});

test('a service of another version is known, opens nothing and is warned of; so is a setting without effect', () => {
  const { config, warnings } = check('[listen.submission]\nport = 587\n[backup]\ntargets = ["x"]');
  assert.ok(!config.listeners.some(({ service }) => service === 'submission'));
  assert.deepEqual(
    warnings.map((warning) => warning('en')),
    [
      '[backup] targets: known, but this version does not use it yet',
      '[listen.submission]: the service submission does not exist in this version; nothing is opened',
    ],
  );
});

test('enabled = false closes a listener', () => {
  assert.ok(!check('[listen.pop3]\nenabled = false').config.listeners.some(({ name }) => name === 'pop3'));
});

test('any table is checked or refused, never anything else (property)', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constantFrom('30s', '1MiB', '::1', 'smtp'),
  );
  const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }));
  const keys = fc.oneof(
    fc.constantFrom(
      'hostname',
      'data',
      'port',
      'address',
      'service',
      'tls',
      'size_max',
      'trusted',
      'enabled',
      'retry',
      'cert',
    ),
    fc.string({ maxLength: 8 }),
  );
  const table = fc.dictionary(keys, value, { maxKeys: 4, noNullPrototype: true });
  const names = fc.oneof(
    fc.constantFrom('server', 'listen', 'tls', 'smtp', 'limits', 'dns', 'log'),
    fc.string({ maxLength: 8 }),
  );
  const root = fc.dictionary(names, fc.oneof(table, value, fc.dictionary(names, table, { maxKeys: 3 })), {
    maxKeys: 4,
  });
  fc.assert(
    fc.property(root, fc.integer({ min: 0, max: 65_535 }), (given, portBase) => {
      try {
        const { config } = checkConfig(given, { file: null, cwd: '/', dataFolder: null, portBase });
        for (const { port } of config.listeners) assert.ok(port >= 0 && port <= 65_535);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        assert.ok(error.problems.length > 0);
        for (const problem of error.problems)
          assert.ok(problem('en').length < 1_000 && problem('zh').length < 1_000);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('what config show would print gives the same configuration again', () => {
  const source =
    '[server]\nhostname = "Mail.Example.org"\n[listen.smtp]\nport = 25\naddress = "::"\n[listen.x]\nservice = "imap"\nport = 1\n[smtp]\nsize_max = "1MiB"\n';
  const first = check(source);
  const lines: string[] = [];
  for (const { place, key, value } of first.settings) {
    if (!lines.includes(place)) lines.push(place);
    if (value !== null) lines.push(`${key} = ${tomlValue(value)}`);
  }
  const again = check(lines.join('\n')).config;
  const plain = (config: CheckedConfig['config']): unknown => ({
    ...config,
    listeners: config.listeners.map(({ addressesAreDefault, ...rest }) => rest),
    server: { ...config.server, data: null },
  });
  assert.deepEqual(plain(again), plain(first.config));
  assert.equal(again.server.hostname, 'mail.example.org');
});

test('any text is written as TOML that reads back as itself (property)', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.string())), (value) => {
      assert.deepEqual(parse(`a = ${tomlValue(value)}`), Object.assign(Object.create(null), { a: value }));
    }),
  );
});

test('the JSON Schema has every key, and no other is allowed', () => {
  const schema = jsonSchema() as {
    properties: Record<string, { properties?: Record<string, { default?: unknown }> }>;
  };
  assert.deepEqual(Object.keys(schema.properties).sort(), [
    'authentication',
    'backup',
    'delivery',
    'dns',
    'limits',
    'listen',
    'log',
    'sealer',
    'sendmail',
    'server',
    'smtp',
    'tls',
  ]);
  assert.equal(schema.properties['smtp']?.properties?.['size_max']?.default, '50MiB');
});

const inFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-config-'));
  try {
    await use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
};
const options = { file: null, dataFolder: null, portBase: 0 };

test('fengni.toml is optional where it is not named, and must be there where it is', () =>
  inFolder(async (cwd) => {
    assert.equal((await loadConfig({ ...options, cwd })).file, null);
    await assert.rejects(loadConfig({ ...options, cwd, file: 'other.toml' }), {
      code: 'config-unreadable',
      exitStatus: 2,
    });
    fs.writeFileSync(path.join(cwd, 'fengni.toml'), '[server]\nhostname = "a.example"\n');
    const { config } = await readConfig({ ...options, cwd });
    assert.equal(config.file, path.join(cwd, 'fengni.toml'));
    assert.equal(config.server.hostname, 'a.example');
    assert.equal((await loadConfig({ ...options, cwd, dataFolder: 'd' })).server.data, path.join(cwd, 'd'));
  }));

test('what is no TOML, no UTF-8, a folder or far too large is refused with the place', () =>
  inFolder(async (cwd) => {
    const file = path.join(cwd, 'fengni.toml');
    fs.writeFileSync(file, '[server]\nhostname = \n');
    await assert.rejects(loadConfig({ ...options, cwd }), (error: ConfigError) => {
      assert.match(error.spoken('en').sentence, /fengni\.toml, line 2, column \d+: /);
      assert.match(error.spoken('zh').sentence, /第 2 行/);
      return true;
    });
    fs.writeFileSync(file, Uint8Array.of(0xff, 0xfe));
    await assert.rejects(loadConfig({ ...options, cwd }), { code: 'config-unreadable' });
    fs.writeFileSync(file, `#${'x'.repeat(2 ** 20)}`);
    await assert.rejects(loadConfig({ ...options, cwd }), { code: 'config-unreadable' });
    fs.rmSync(file);
    fs.mkdirSync(file);
    await assert.rejects(loadConfig({ ...options, cwd }), { code: 'config-unreadable' });
  }));
