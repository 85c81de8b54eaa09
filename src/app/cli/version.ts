import fs from 'node:fs';

/** The version that package.json states. */
export const programVersion = (): string => {
  const file = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string };
  return version;
};
