import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const installMsMax = 280_000;

/**
 * Makes sure that files of Debian packages are there, installing them when the test runs as root. What is missing fails the test: a
 * verifier that was not run has not agreed.
 *
 * @param options.files any of these is enough
 * @returns the first that exists
 */
export const debianTool = async (options: { files: string[]; packages: string[] }): Promise<string> => {
  const found = (): string | undefined => options.files.find((file) => fs.existsSync(file));
  const already = found();
  if (already !== undefined) return already;
  const command = `apt-get install -y --no-install-recommends ${options.packages.join(' ')}`;
  const isRoot = process.getuid?.() === 0 && fs.existsSync('/usr/bin/apt-get');
  assert(isRoot, `${options.files.join(' or ')} is missing; as root: ${command}`);
  const apt = (...args: string[]): Promise<unknown> =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: installMsMax,
      maxBuffer: 64 * 1_048_576,
    });
  const install = (): Promise<unknown> => apt(...command.split(' ').slice(1));
  await install().catch(async () => {
    // the lists of a fresh machine are empty or too old
    await apt('update');
    await install();
  });
  return found() ?? assert.fail(`${options.files.join(' or ')} is missing after: ${command}`);
};
