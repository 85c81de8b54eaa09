import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { architectureViolations } from './architecture/architecture.ts';
import { readImports, withoutComments } from './architecture/imports.ts';

const root = path.resolve(import.meta.dirname, '..');

test('imports point down the layers, through front doors, without circles, and each power has its home', () => {
  assert.deepEqual(architectureViolations(root), []);
});

/** A small tree that is as it should be. */
const goodTree: Readonly<Record<string, string>> = {
  'package.json': '{ "dependencies": { "smol-toml": "1", "left-pad": "1" } }',
  'src/base/bytes/index.ts': "export { ascii } from './ascii.ts';\n",
  'src/base/bytes/ascii.ts': 'export const ascii = 1;\n',
  'src/base/clock/index.ts':
    "import { randomFillSync } from 'node:crypto';\nexport const nowMs = () => Date.now();\n",
  'src/message/index.ts': "export { ascii } from '#base/bytes';\n",
  'src/trust/seal/index.ts': "import { createHash } from 'node:crypto';\nexport const hash = createHash;\n",
  'src/protocols/sasl/index.ts': 'export const plain = 1;\n',
  'src/protocols/smtp/index.ts':
    "import { plain } from '#protocols/sasl';\n// setTimeout(() => Date.now()) is for others\nexport const smtp = plain;\n",
  'src/protocols/pop3/index.ts': "import type { Message } from '#message';\nexport type Pop3 = Message;\n",
  'src/store/durable/index.ts': "import fs from 'node:fs';\nexport const io = fs;\n",
  'src/store/bodies/index.ts': "import { io } from '#store/durable';\nexport const open = io;\n",
  'src/store/sqlite/index.ts':
    "import { DatabaseSync } from 'node:sqlite';\nexport const sqlite = DatabaseSync;\n",
  'src/services/access/index.ts':
    "import { isIP, isIPv6 } from 'node:net';\nimport { open } from '#store/bodies';\nexport const access = [open, isIP];\n",
  'src/services/mailboxes/index.ts':
    "import { access } from '#services/access';\nexport const mailboxes = access;\n",
  'src/net/pop3/index.ts':
    "import net from 'node:net';\nimport { mailboxes } from '#services/mailboxes';\nexport const pop3 = [net, mailboxes];\n",
  'src/app/config/index.ts':
    "export const config = async () => (await import('smol-toml')).parse(process.env.X ?? '');\n",
  'src/app/main.ts':
    "import { config } from '#app/config';\nimport { pop3 } from '#net/pop3';\nconfig(pop3);\n",
};

const plants: readonly { what: string; files: Readonly<Record<string, string>>; refused: RegExp }[] = [
  {
    what: 'an import that points up the layers',
    files: { 'src/base/bytes/ascii.ts': "import { hash } from '#trust/seal';\nexport const ascii = hash;\n" },
    refused:
      /^src\/base\/bytes\/ascii\.ts:1: base may not import trust: imports point down .*; declare here what is needed/,
  },
  {
    what: 'a type imported from above',
    files: {
      'src/store/bodies/index.ts': "import type { X } from '#services/access';\nexport type Y = X;\n",
    },
    refused: /store\/bodies\/index\.ts:1: store may not import services.*let services hand it in/,
  },
  {
    what: 'a lazy import from above',
    files: { 'src/net/pop3/index.ts': "export const x = () => import('#app/config');\n" },
    refused: /net\/pop3\/index\.ts:1: net may not import app/,
  },
  {
    what: 'a re-export from above',
    files: { 'src/message/index.ts': "export * from '#trust/seal';\n" },
    refused: /message\/index\.ts:1: message may not import trust/,
  },
  {
    what: 'an import over several lines',
    files: {
      'src/message/index.ts':
        "\nimport {\n  one,\n  two,\n} from '#trust/seal';\nexport const x = [one, two];\n",
    },
    refused: /message\/index\.ts:2: message may not import trust/,
  },
  {
    what: 'a relative import past a front door',
    files: { 'src/trust/seal/index.ts': "export { ascii } from '../../base/bytes/ascii.ts';\n" },
    refused:
      /reaches past the front door of base\/bytes; import it as "#base\/bytes" and export the name in its index\.ts/,
  },
  {
    what: 'a deep # import',
    files: { 'src/trust/seal/index.ts': "export { ascii } from '#base/bytes/ascii';\n" },
    refused: /"#base\/bytes\/ascii" is not a front door; import #LAYER\/MODULE/,
  },
  {
    what: "a module's own front door from inside",
    files: { 'src/base/bytes/ascii.ts': "import * as all from '#base/bytes';\nexport const ascii = all;\n" },
    refused: /is the module's own front door; inside a module import the file itself/,
  },
  {
    what: 'an import of what is not there',
    files: { 'src/trust/seal/index.ts': "export { x } from '#base/gone';\n" },
    refused: /there is no src\/base\/gone\/index\.ts; write it, or correct/,
  },
  {
    what: 'modules in a circle',
    files: {
      'src/services/access/index.ts':
        "import { mailboxes } from '#services/mailboxes';\nexport const access = mailboxes;\n",
    },
    refused:
      /^src\/services\/access: modules in a circle: services\/access → services\/mailboxes → services\/access; move what they share/,
  },
  {
    what: 'files in a circle',
    files: {
      'src/base/bytes/ascii.ts': "import { b } from './b.ts';\nexport const ascii = b;\n",
      'src/base/bytes/b.ts': "import { c } from './c.ts';\nexport const b = c;\n",
      'src/base/bytes/c.ts': "import { ascii } from './ascii.ts';\nexport const c = ascii;\n",
    },
    refused:
      /^src\/base\/bytes\/ascii\.ts:1: files in a circle: \S+ascii\.ts → \S+b\.ts → \S+c\.ts → \S+ascii\.ts; move what they share into a file of its own/,
  },
  ...[
    'net',
    'tls',
    'fs',
    'fs/promises',
    'child_process',
    'sqlite',
    'dgram',
    'worker_threads',
    'timers',
    'os',
  ].flatMap((name) =>
    ['protocols/smtp', 'trust/seal', 'message', 'base/bytes'].map((module) => ({
      what: `node:${name} in ${module}`,
      files: { [`src/${module}/index.ts`]: `import * as x from 'node:${name}';\nexport const ascii = x;\n` },
      refused: /is pure and may not import node:\S+; take what it gives as a parameter/,
    })),
  ),
  {
    what: 'the clock in a pure layer',
    files: { 'src/trust/seal/index.ts': 'export const hash = Date.now();\n' },
    refused: /trust\/seal\/index\.ts:1: trust is pure but reads the clock; take a Clock/,
  },
  {
    what: 'randomness in a pure layer',
    files: { 'src/base/bytes/ascii.ts': 'export const ascii = Math.random();\n' },
    refused: /base is pure but takes randomness; take a Random/,
  },
  {
    what: 'a timer in a pure layer',
    files: { 'src/protocols/smtp/index.ts': 'export const smtp = () => setTimeout(() => {}, 1);\n' },
    refused: /protocols is pure but starts a timer; return what to wait for/,
  },
  {
    what: 'a socket in a service',
    files: {
      'src/services/mailboxes/index.ts': "import net from 'node:net';\nexport const mailboxes = net;\n",
    },
    refused: /only net, app may import node:net; sockets belong to net\//,
  },
  {
    what: 'a socket in the store',
    files: { 'src/store/bodies/index.ts': "import tls from 'node:tls';\nexport const open = tls;\n" },
    refused: /only net, app may import node:tls/,
  },
  {
    what: 'files elsewhere in the store',
    files: { 'src/store/bodies/index.ts': "import fs from 'node:fs/promises';\nexport const open = fs;\n" },
    refused:
      /only store\/durable, store\/secrets, store\/lock, net, app may import node:fs\/promises; go through Io of #store\/durable/,
  },
  {
    what: 'SQL outside its two homes',
    files: { 'src/store/bodies/index.ts': "export const open = () => import('node:sqlite');\n" },
    refused:
      /only store\/sqlite, store\/secrets, store\/lock may import node:sqlite; SQL belongs to store\/sqlite/,
  },
  {
    what: 'a process started below app',
    files: {
      'src/net/pop3/index.ts': "import { fork } from 'node:child_process';\nexport const pop3 = fork;\n",
    },
    refused: /only app may import node:child_process; only app\/ starts processes/,
  },
  {
    what: 'the environment read below app',
    files: { 'src/net/pop3/index.ts': "export const pop3 = process.env['HOME'];\n" },
    refused: /net\/pop3\/index\.ts:1: reads the environment; only app\/ does, and hands the value down/,
  },
  {
    what: 'message octets opened by a service without the gate',
    files: {
      'src/services/mailboxes/index.ts':
        "import { open } from '#store/bodies';\nexport const mailboxes = open;\n",
    },
    refused:
      /only services\/access, services\/integrity, app\/compose, app\/roles may import store\/bodies; message octets are opened only through #services\/access/,
  },
  {
    what: 'message octets opened by a command',
    files: { 'src/app/main.ts': "import { open } from '../store/bodies/index.ts';\nopen();\n" },
    refused: /app\/main\.ts:1: only services\/access, .* may import store\/bodies/,
  },
  {
    what: 'an engine that imports another',
    files: { 'src/protocols/pop3/index.ts': "export { smtp } from '#protocols/smtp';\n" },
    refused: /protocols\/pop3 may not import protocols\/smtp: engines stand alone/,
  },
  {
    what: 'a package that nobody allowed',
    files: { 'src/net/pop3/index.ts': "import pad from 'left-pad';\nexport const pop3 = pad;\n" },
    refused: /"left-pad" is not on the list of runtime dependencies; do without it/,
  },
  {
    what: 'a package outside its home',
    files: { 'src/net/pop3/index.ts': "export const pop3 = import('smol-toml');\n" },
    refused: /only app\/config may import "smol-toml"; use what that module offers/,
  },
  {
    what: 'a package that package.json does not name',
    files: { 'package.json': '{}' },
    refused: /"smol-toml" is no dependency in package\.json; add it there/,
  },
  {
    what: 'a computed import',
    files: { 'src/app/main.ts': "const name = '#net/pop3';\nawait import(name);\n" },
    refused: /app\/main\.ts:2: imports a name that is computed; write the name out/,
  },
  {
    what: 'a test imported by the source',
    files: {
      'src/base/bytes/ascii.ts': "export { ascii } from './ascii.test.ts';\n",
      'src/base/bytes/ascii.test.ts': 'export const ascii = 1;\n',
    },
    refused:
      /imports src\/base\/bytes\/ascii\.test\.ts, which is for tests; move what is shared into the source/,
  },
  {
    what: 'test support imported by the source',
    files: { 'src/base/bytes/ascii.ts': "export { x } from '../../../test/support/corpora.ts';\n" },
    refused: /imports test\/support\/corpora\.ts, which is for tests/,
  },
  {
    what: 'a role that contains what it must not, by way of others',
    files: {
      'src/app/roles/mx.ts': "import { pop3 } from '#net/pop3';\nexport const mx = pop3;\n",
    },
    refused:
      /^src\/app\/roles\/mx\.ts:1: the role mx contains store\/bodies, by way of .*net\/pop3\/index\.ts → .*; what parses strangers’ mail opens neither/,
  },
  {
    what: 'a role that contains the passwords, lazily',
    files: {
      'src/store/secrets/index.ts': 'export const secrets = 1;\n',
      'src/app/roles/web.ts': "export const web = () => import('#store/secrets');\n",
    },
    refused:
      /^src\/app\/roles\/web\.ts:1: the role web contains store\/secrets, .*; only auth opens secrets\.db/,
  },
  ...['utils.ts', 'util.ts', 'helpers.ts', 'types.ts'].map((name) => ({
    what: `a file named ${name}`,
    files: { [`src/base/bytes/${name}`]: 'export const x = 1;\n' },
    refused: /"\w+\.ts" says nothing; name the file for the one idea that it holds/,
  })),
  {
    what: 'a folder that is no layer',
    files: { 'src/lib/x/index.ts': 'export const x = 1;\n' },
    refused: /src\/lib\/x\/index\.ts:1: is in no layer; move it into one of src\//,
  },
];

const withTree = <Result>(files: Readonly<Record<string, string>>, use: (root: string) => Result): Result => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-architecture-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), text);
    }
    return use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
};

test('a tree that is as it should be is accepted', () => {
  assert.deepEqual(withTree(goodTree, architectureViolations), []);
});

for (const { what, files, refused } of plants) {
  test(`refused, with how to fix it: ${what}`, () => {
    const found = withTree({ ...goodTree, ...files }, architectureViolations);
    assert.ok(
      found.some((line) => refused.test(line)),
      `expected ${refused}, got:\n${found.join('\n') || 'nothing'}`,
    );
    for (const line of found) assert.match(line, /; .+/, 'every message says what to do');
  });
}

test('a role may know the types of what it must not contain', () => {
  const files = {
    'src/app/roles/mx.ts': "import type { pop3 } from '#net/pop3';\nexport type Mx = typeof pop3;\n",
  };
  assert.deepEqual(withTree({ ...goodTree, ...files }, architectureViolations), []);
});

test('tests, fuzz targets and benchmarks may import what they like', () => {
  const free =
    "import fs from 'node:fs';\nimport fc from 'fast-check';\nimport { smtp } from '#protocols/smtp';\n";
  const files = Object.fromEntries(
    ['test', 'fuzz', 'bench'].map((kind) => [`src/base/bytes/x.${kind}.ts`, free]),
  );
  assert.deepEqual(withTree({ ...goodTree, ...files }, architectureViolations), []);
});

test('imports are found in every form, and not in comments', () => {
  const text = [
    "import './a.ts';",
    "import type { B } from './b.ts';",
    "export * from './c.ts';",
    "export { d } from './d.ts';",
    "const e = await import('./e.ts');",
    "const f = new URL('./f.ts', import.meta.url);",
    "// import './no.ts';",
    '/**',
    " * import './no.ts';",
    ' */',
    "  import def, { g } from './g.ts';",
    "const text = { from: './no.ts' };",
  ].join('\n');
  assert.deepEqual(
    readImports(withoutComments(text)).map(({ specifier, line }) => `${line} ${specifier}`),
    ['1 ./a.ts', '2 ./b.ts', '3 ./c.ts', '4 ./d.ts', '5 ./e.ts', '6 ./f.ts', '11 ./g.ts'],
  );
});
