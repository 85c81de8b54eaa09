import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { architectureViolations } from '../test/architecture/architecture.ts';

// `npm run check`: Biome, the compiler and the architecture; exit status 0 when all three find nothing, 1 otherwise.

const root = path.resolve(import.meta.dirname, '..');

const biomePackage = `@biomejs/cli-${process.platform}-${process.arch}`;
const biome = path.join(root, 'node_modules', biomePackage, 'biome');

const run = (program: string, args: readonly string[]): Promise<{ isGood: boolean; output: string }> =>
  new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ isGood: false, output: error.message }));
    child.on('close', (status) => resolve({ isGood: status === 0, output }));
  });

const tell = (name: string, { isGood, output }: { isGood: boolean; output: string }): boolean => {
  process.stdout.write(isGood ? `✔ ${name}\n` : `✖ ${name}\n${output}\n`);
  return isGood;
};

const architecture = (): { isGood: boolean; output: string } => {
  const found = architectureViolations(root);
  return { isGood: found.length === 0, output: found.join('\n') };
};

fs.mkdirSync(path.join(root, 'node_modules/.cache'), { recursive: true });
const [lint, types] = await Promise.all([
  run(biome, ['check', '--error-on-warnings', '--max-diagnostics=200', '.']),
  run(process.execPath, [
    path.join(root, 'node_modules/typescript/bin/tsc'),
    '--noEmit',
    '-p',
    'tsconfig.json',
  ]),
]);
const results = [tell('Biome', lint), tell('tsc', types), tell('architecture', architecture())];
process.exitCode = results.every(Boolean) ? 0 : 1;
