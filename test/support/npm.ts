import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

/**
 * A package of npm as a peer of tests, in a folder outside the checkout: no dependency of ours, no install scripts.
 *
 * @returns the file to import
 * @throws saying how to get it
 */
export const npmPackage = (name: string, version: string): string => {
  const folder = path.join(os.tmpdir(), `fengni-peer-${name}-${version}`);
  const entry = (): string => createRequire(path.join(folder, 'package.json')).resolve(name);
  try {
    return entry();
  } catch {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, 'package.json'), '{"private":true}');
    const args = [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefix',
      folder,
      `${name}@${version}`,
    ];
    const { status, stderr } = spawnSync('npm', args, { encoding: 'utf8', cwd: folder });
    if (status !== 0) throw new Error(`missing: npm ${args.join(' ')}\n${(stderr ?? '').slice(-1_000)}`);
    return entry();
  }
};
