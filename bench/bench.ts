import fs from 'node:fs';
import path from 'node:path';

// `npm run bench -- NAME …`: runs bench/NAME.ts with the rest of the arguments.

const [name = '', ...rest] = process.argv.slice(2);
const names = fs
  .readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'bench.ts' && !file.endsWith('.tmp.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort();
if (!names.includes(name)) {
  process.stderr.write(`Usage: npm run bench -- ${names.join('|')} [OPTIONS]\n`);
  process.exit(2);
}
const file = path.join(import.meta.dirname, `${name}.ts`);
process.argv = [process.argv[0] ?? '', file, ...rest];
await import(file);
