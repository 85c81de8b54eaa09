import fs from 'node:fs';
import path from 'node:path';
import { type Edge, findCycles } from './cycles.ts';
import { type Import, readImports, withoutComments } from './imports.ts';

/** Top to bottom: a file may import its own module, other modules of its layer, and layers below. */
const layers = ['app', 'net', 'services', 'store', 'protocols', 'trust', 'message', 'base'];

/** These compute: what they need of the world comes in as a parameter. */
const pureLayers = ['protocols', 'trust', 'message', 'base'];
const pureBuiltins =
  'assert assert/strict buffer crypto events path punycode stream string_decoder url util zlib'.split(' ');
const impureText: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\s*\(|\bnew Date\(\s*\)/, 'reads the clock; take a Clock of #base/clock as a parameter'],
  [/\bperformance\.now\s*\(/, 'reads the clock; take a Clock of #base/clock as a parameter'],
  [
    /\bset(?:Timeout|Interval|Immediate)\s*\(/,
    'starts a timer; return what to wait for and let the caller wait',
  ],
  [
    /\bMath\.random\s*\(|\brandom(?:Bytes|Fill|FillSync|Int|UUID)\s*\(|\bgetRandomValues\s*\(/,
    'takes randomness; take a Random of #base/clock as a parameter',
  ],
  [/\bprocess\.\w+/, 'touches the process; take what it needs as a parameter'],
];
/** The one pure-layer module that may: it is what the others are given. */
const impureHomes = ['base/clock'];

/** Built-in modules that have only these homes: folders, or a single file. */
const builtinHomes: readonly { names: string; homes: readonly string[]; fix: string }[] = [
  {
    names: 'net tls dgram http https http2',
    homes: ['src/net/', 'src/app/'],
    fix: 'sockets belong to net/; declare a port that net/ implements',
  },
  {
    names: 'dns dns/promises',
    homes: ['src/net/', 'src/app/'],
    fix: 'ask through a resolver that net/dns implements',
  },
  {
    names: 'child_process cluster',
    homes: ['src/app/'],
    fix: 'only app/ starts processes; let app/ start it and hand in a connection',
  },
  {
    names: 'fs fs/promises',
    // store/secrets and store/lock make the files in which SQLite's own I/O then happens; it cannot go through Io.
    homes: ['src/store/durable/', 'src/store/secrets/', 'src/store/lock/', 'src/net/', 'src/app/'],
    fix: 'go through Io of #store/durable, so that a simulated file system can cut the power',
  },
  {
    names: 'sqlite',
    homes: ['src/store/sqlite/', 'src/store/secrets/', 'src/store/lock/'],
    fix: 'SQL belongs to store/sqlite (store/secrets for secrets.db, store/lock for the lock); speak mail through a port',
  },
];

/** What node:net knows about addresses opens no socket. */
const addressNamesOnly = /^\{\s*(?:(?:isIP|isIPv4|isIPv6|BlockList|SocketAddress)\s*,?\s*)+\}$/;

/** Modules of ours that hold a dangerous power, and who may use it. */
const gates: readonly { module: string; importers: readonly string[]; fix: string }[] = [
  {
    module: 'store/bodies',
    importers: ['src/services/access/', 'src/services/integrity/', 'src/app/compose', 'src/app/roles/'],
    fix: 'message octets are opened only through #services/access, with reason, scope and term',
  },
];

/**
 * What a role's program must not even contain, whoever imports it on the way: the code that opens secrets, index and stored mail. Types
 * do not count, since they are gone when the program runs.
 */
const roleWalls: readonly { roles: string; modules: readonly string[]; fix: string }[] = [
  {
    roles: 'mx parser pickup access web writer sealer',
    modules: ['store/secrets'],
    fix: 'only auth opens secrets.db; ask it over its socket',
  },
  {
    roles: 'mx parser pickup access web auth sealer',
    modules: ['services/writer'],
    fix: 'only the writer writes log and databases; send it the request',
  },
  {
    roles: 'mx parser pickup',
    modules: ['store/sqlite', 'store/bodies', 'store/ledger'],
    fix: 'what parses strangers’ mail opens neither index nor stored mail; ask the writer',
  },
];

/** Packages of others, and the modules that may use them. What a stranger can send us is parsed by code that we fuzz. */
const packageHomes: Readonly<Record<string, readonly string[]>> = {
  'smol-toml': ['src/app/config/'],
  'dns-packet': ['src/net/dns/'],
  'iconv-lite': ['src/message/'],
};

/** What several engines stand on; no engine imports another. */
const sharedProtocols = ['protocols/sasl', 'protocols/lines'];
const engineExceptions: readonly (readonly [string, string])[] = [
  ['protocols/managesieve', 'protocols/sieve'],
];

const emptyNames = /^(?:utils?|helpers?|types?|misc|common|shared)\.tsx?$/;
const testFile = /\.(?:test|fuzz|bench)\.tsx?$|^src\/store\/conformance\//;

interface Source {
  /** with slashes, from the root of the tree: `src/base/text/say.ts` */
  path: string;
  /** comments at the start of a line taken out, line numbers kept */
  text: string;
}

interface Place {
  layer: string;
  /** `base/text`; a file directly in its layer is in the module of the layer's name */
  module: string;
}

/**
 * Everything in a tree that the architecture does not allow, as sentences `file:line: what is wrong; how to fix it`, sorted.
 *
 * Text-based: it reads import lines, not types, so it needs nothing but the files. Tests, fuzz targets and benchmarks may reach for
 * what they like, but nothing may import them.
 */
export const architectureViolations = (root: string): string[] => {
  const found: string[] = [];
  const files = sourceFiles(root);
  const known = new Set(files);
  const fileEdges: Edge[] = [];
  const moduleEdges: Edge[] = [];
  const loads = new Map<string, string[]>();
  const declared = declaredDependencies(root);

  for (const file of files) {
    const name = path.posix.basename(file);
    const parts = file.split('/');
    if (emptyNames.test(name)) {
      found.push(
        `${file}:1: "${name}" says nothing; name the file for the one idea that it holds, and split it if there are more`,
      );
    }
    if (parts.length < 3 || !layers.includes(parts[1] ?? '')) {
      found.push(`${file}:1: is in no layer; move it into one of src/{${layers.join(',')}}/`);
      continue;
    }
    if (testFile.test(file)) continue;
    const source: Source = {
      path: file,
      text: withoutComments(fs.readFileSync(path.join(root, file), 'utf8')),
    };
    const here = placeOf(file);
    const say = (line: number, text: string): void => void found.push(`${file}:${line}: ${text}`);
    checkText(source, here, say);
    for (const one of readImports(source.text)) {
      const target = checkImport(file, here, one, { say, known, declared });
      if (target === null) continue;
      const there = placeOf(target);
      if (!one.isDynamic) fileEdges.push({ from: file, to: target });
      if (!/^type\b/.test(one.clause)) loads.set(file, [...(loads.get(file) ?? []), target]);
      if (there.module !== here.module) moduleEdges.push({ from: here.module, to: there.module });
    }
  }
  for (const cycle of findCycles(moduleEdges)) {
    found.push(
      `src/${cycle[0]}: modules in a circle: ${cycle.join(' → ')}; move what they share into a module below them, or make them one`,
    );
  }
  for (const cycle of findCycles(fileEdges)) {
    // Across modules it has been named already, as a circle of modules.
    if (new Set(cycle.map((file) => placeOf(file).module)).size > 1) continue;
    found.push(
      `${cycle[0]}:1: files in a circle: ${cycle.join(' → ')}; move what they share into a file of its own`,
    );
  }
  found.push(...brokenWalls(loads));
  return found.sort();
};

const brokenWalls = (loads: ReadonlyMap<string, readonly string[]>): string[] => {
  const found: string[] = [];
  for (const { roles, modules, fix } of roleWalls) {
    for (const role of roles.split(' ')) {
      const ways: string[][] = [[`src/app/roles/${role}.ts`]];
      const seen = new Set<string>();
      for (const way of ways) {
        for (const target of loads.get(way.at(-1) ?? '') ?? []) {
          if (seen.has(target)) continue;
          seen.add(target);
          const { module } = placeOf(target);
          if (modules.includes(module)) {
            found.push(
              `${way[0]}:1: the role ${role} contains ${module}, by way of ${[...way, target].join(' → ')}; ${fix}`,
            );
          } else ways.push([...way, target]);
        }
      }
    }
  }
  return found;
};

const sourceFiles = (root: string): string[] =>
  fs
    .readdirSync(path.join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();

const declaredDependencies = (root: string): ReadonlySet<string> => {
  const file = path.join(root, 'package.json');
  const { dependencies = {} } = JSON.parse(fs.readFileSync(file, 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  return new Set(Object.keys(dependencies));
};

const placeOf = (file: string): Place => {
  const [, layer = '', module = '', ...rest] = file.split('/');
  return { layer, module: rest.length === 0 ? layer : `${layer}/${module}` };
};

type Say = (line: number, text: string) => void;

const checkText = ({ text }: Source, here: Place, say: Say): void => {
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (here.layer !== 'app' && /\bprocess\s*(?:\.\s*env|\[\s*['"]env)\b/.test(line)) {
      say(index + 1, 'reads the environment; only app/ does, and hands the value down');
    } else if (pureLayers.includes(here.layer) && !impureHomes.includes(here.module)) {
      for (const [pattern, reason] of impureText)
        if (pattern.test(line)) say(index + 1, `${here.layer} is pure but ${reason}`);
    }
    if (/\bimport\(\s*[^'"\s)]/.test(line)) {
      say(index + 1, 'imports a name that is computed; write the name out, so that it can be checked');
    }
    if (/\bcreateRequire\s*\(|(?<![.\w])require\s*\(/.test(line))
      say(index + 1, 'uses require; write an import');
  }
};

interface Tree {
  say: Say;
  known: ReadonlySet<string>;
  declared: ReadonlySet<string>;
}

/** The file of ours that an import leads to, or null; what is wrong with it is said. */
const checkImport = (
  file: string,
  here: Place,
  one: Import,
  { say, known, declared }: Tree,
): string | null => {
  const { specifier, line } = one;
  const wrong = (text: string): null => {
    say(line, text);
    return null;
  };
  if (specifier.startsWith('node:')) return checkBuiltin(file, here, one, wrong);
  if (specifier.startsWith('#')) {
    const parts = specifier.slice(1).split('/');
    const isLayerItself = parts.length === 1 && parts[0] === 'message';
    if (!isLayerItself && parts.length !== 2) {
      return wrong(
        `"${specifier}" is not a front door; import #LAYER/MODULE, whose index.ts lists what others may use`,
      );
    }
    const target = `src/${parts.join('/')}/index.ts`;
    if (!known.has(target)) return wrong(`there is no ${target}; write it, or correct "${specifier}"`);
    if (testFile.test(target))
      return wrong(`imports ${target}, which is for tests; move what is shared into the source`);
    const there = placeOf(target);
    if (there.module === here.module) {
      return wrong(
        `"${specifier}" is the module's own front door; inside a module import the file itself, "./x.ts"`,
      );
    }
    checkModules(file, here, there, wrong);
    return target;
  }
  if (!specifier.startsWith('.')) return checkPackage(file, specifier, declared, wrong);
  const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
  if (/\.json$/.test(target)) return null;
  if (testFile.test(target) || target.startsWith('test/') || target.startsWith('bench/')) {
    return wrong(`imports ${target}, which is for tests; move what is shared into the source`);
  }
  if (!target.startsWith('src/')) return wrong(`imports ${target} from outside src/; move it into a layer`);
  if (!known.has(target)) return wrong(`there is no ${target}; imports end in .ts and name a file`);
  const there = placeOf(target);
  if (there.module !== here.module) {
    if (checkModules(file, here, there, wrong)) {
      const door = there.module === 'message' ? '#message' : `#${there.module}`;
      wrong(
        `reaches past the front door of ${there.module}; import it as "${door}" and export the name in its index.ts`,
      );
    }
  }
  return target;
};

const checkBuiltin = (
  file: string,
  here: Place,
  { specifier, clause }: Import,
  wrong: (text: string) => null,
): null => {
  const name = specifier.slice('node:'.length);
  if (pureLayers.includes(here.layer) && !pureBuiltins.includes(name)) {
    if (here.module === 'base/clock' && (name === 'timers' || name === 'perf_hooks')) return null;
    return wrong(`${here.layer} is pure and may not import node:${name}; take what it gives as a parameter`);
  }
  if (name === 'net' && addressNamesOnly.test(clause)) return null;
  for (const { names, homes, fix } of builtinHomes) {
    if (names.split(' ').includes(name) && !homes.some((home) => file.startsWith(home))) {
      return wrong(
        `only ${homes.map((home) => home.slice(4, -1)).join(', ')} may import node:${name}; ${fix}`,
      );
    }
  }
  return null;
};

const checkPackage = (
  file: string,
  specifier: string,
  declared: ReadonlySet<string>,
  wrong: (text: string) => null,
): null => {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const homes = Object.hasOwn(packageHomes, name) ? packageHomes[name] : undefined;
  if (homes === undefined) {
    return wrong(
      `the package "${name}" is not on the list of runtime dependencies; do without it, or give it a home in test/architecture/architecture.ts and a reason in docs/decisions/`,
    );
  }
  if (!homes.some((home) => file.startsWith(home))) {
    return wrong(
      `only ${homes.map((home) => home.slice(4, -1)).join(', ')} may import "${name}"; use what that module offers`,
    );
  }
  if (!declared.has(name)) return wrong(`"${name}" is no dependency in package.json; add it there`);
  return null;
};

/** Whether the module may be imported at all, whatever the door; if not, it is said. */
const checkModules = (file: string, here: Place, there: Place, wrong: (text: string) => null): boolean => {
  if (layers.indexOf(there.layer) < layers.indexOf(here.layer)) {
    wrong(
      `${here.layer} may not import ${there.layer}: imports point down (${layers.join(' → ')}); declare here what is needed and let ${there.layer} hand it in`,
    );
    return false;
  }
  const isEngine =
    here.layer === 'protocols' && there.layer === 'protocols' && !sharedProtocols.includes(there.module);
  if (isEngine && !engineExceptions.some(([from, to]) => from === here.module && to === there.module)) {
    wrong(
      `${here.module} may not import ${there.module}: engines stand alone; move what they share into ${sharedProtocols.join(' or ')}`,
    );
    return false;
  }
  for (const { module, importers, fix } of gates) {
    if (there.module === module && !importers.some((importer) => file.startsWith(importer))) {
      wrong(
        `only ${importers.map((importer) => importer.replace(/^src\/|\/$/g, '')).join(', ')} may import ${module}; ${fix}`,
      );
      return false;
    }
  }
  return true;
};
