import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import { parseLargeFileName } from '#store/segments';
import { type Findings, findingOf } from './verify-finding.ts';

/** What a data folder holds beside segments and key files, by name: those that must be there, and no strangers. */
export const verifyFolder = async (
  io: Io,
  folder: string,
  generations: readonly number[],
  largeFiles: ReadonlySet<string>,
  live: boolean,
  findings: Findings,
): Promise<void> => {
  await checkFormat(io, folder, findings);
  for (const name of ['secrets.db', 'lock'])
    if ((await io.stat(`${folder}/${name}`)) === null)
      findings.add(findingOf('file-missing', 'the file is missing', { file: name }));

  const unnamed: string[] = [];
  for (const name of await namesIn(io, `${folder}/large`)) {
    const id = parseLargeFileName(name);
    if (id === null) {
      if (!name.endsWith('.flarge.tmp')) unexpected(findings, `large/${name}`);
    } else if (!largeFiles.has(id)) unnamed.push(name);
  }
  // Beside a running server they belong to messages that came meanwhile.
  if (unnamed.length > 0 && !live)
    findings.note('large-unnamed', `${unnamed.length}, such as large/${unnamed[0]}`);
  for (const name of await namesIn(io, `${folder}/ledger`)) {
    const generation = /^g([1-9]\d{0,8})$/.exec(name)?.[1];
    if (generation !== undefined && generations.includes(Number(generation))) continue;
    if (generation !== undefined) {
      findings.add(
        findingOf('file-unexpected', 'a ledger of a generation that the log does not have', {
          file: `ledger/${name}`,
        }),
      );
    } else if (name !== 'keys' && !/^keys\.[0-9a-f]+\.tmp$/.test(name))
      unexpected(findings, `ledger/${name}`);
  }
};

export const dataFormat = 'fengni data\nversion 1\nshard 0\noldest-writer 1\n';

const checkFormat = async (io: Io, folder: string, findings: Findings): Promise<void> => {
  let text: string;
  try {
    text = Buffer.from(await io.readFile(`${folder}/FORMAT`)).toString('latin1');
  } catch (error) {
    if (!(error instanceof FengniError) || error.code !== 'file-not-found') throw error;
    findings.add(findingOf('file-missing', 'the file is missing', { file: 'FORMAT' }));
    return;
  }
  if (text !== dataFormat)
    findings.add(findingOf('format', 'its text is not that of this format', { file: 'FORMAT' }));
};

const unexpected = (findings: Findings, file: string): void =>
  findings.add(findingOf('file-unexpected', 'a file that does not belong here', { file }));

export const namesIn = async (io: Io, path: string): Promise<string[]> => {
  try {
    return await io.readFolder(path);
  } catch (error) {
    if (error instanceof FengniError && error.code === 'file-not-found') return [];
    throw error;
  }
};
