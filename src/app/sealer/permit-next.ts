import fs from 'node:fs';
import { FengniError } from '#base/errors';
import { type AllowanceKind, type AllowedStep, allowNext } from '#services/sealer';
import { nodeIo } from '#store/durable';

/**
 * Permits the sealer of a folder one step, as the owner of the folder: what another user wrote, the sealer could not read.
 *
 * @throws {FengniError} `sealer-folder-unusable`, and those of `allowNext`
 */
export const permitNext = async (folder: string, kind: AllowanceKind): Promise<AllowedStep> => {
  process.umask(0o077);
  let owner: number;
  try {
    owner = fs.statSync(folder).uid;
  } catch (cause) {
    throw unusable(`${folder} (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`, cause);
  }
  if (owner !== process.geteuid?.()) throw unusable(`${folder} belongs to user ${owner}`);
  return allowNext(nodeIo, folder, kind);
};

const unusable = (subject: string, cause?: unknown): FengniError =>
  new FengniError('sealer-folder-unusable', {
    subject,
    remedy: "run it as the sealer's user, on its own folder: sudo -u fengni-sealer … --state DIR",
    cause,
  });
