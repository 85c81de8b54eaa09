import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type Io, replaceFileDurable } from '#store/durable';
import {
  encodeOrigin,
  encodeSignerKey,
  encodeVerifierKey,
  parseDecimal,
  parseOrigin,
  parseSignerKey,
  type SignerKey,
  signerKey,
} from '#trust/seal';
import { parseState, type SealerState } from './sealer-state.ts';

/** What the sealer's side permits: a planned key rotation, or a generation behind a loss. */
export type AllowanceKind = 'rotation' | 'new-generation';

/**
 * One step that whoever keeps the sealer's folder permitted. It names the generation that it ends, so that it is void as soon as that one
 * is over, whether or not its file could be removed.
 */
export interface Allowance {
  readonly kind: AllowanceKind;
  /** the generation that ends; 0 where the folder knows none */
  readonly after: number;
  readonly untilMs: number;
}

/** how long a permission lasts: longer than the command on the other side takes, shorter than anybody forgets it */
export const allowanceMs = 3_600_000;

export const allowanceFile = 'allow';

export const encodeAllowance = ({ kind, after, untilMs }: Allowance): Uint8Array =>
  utf8(`${firstLine}\nkind ${kind}\nafter ${after}\nuntil ${untilMs}\n`);

/** null for anything that `encodeAllowance` would not have written: a permission that cannot be read is none. */
export const parseAllowance = (octets: Uint8Array): Allowance | null => {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');
  const match = form.exec(text)?.groups;
  const after = parseDecimal(match?.['after'] ?? '');
  const untilMs = parseDecimal(match?.['until'] ?? '');
  const kind = match?.['kind'];
  if ((kind !== 'rotation' && kind !== 'new-generation') || after === null || untilMs === null) return null;
  return { kind, after, untilMs };
};

const firstLine = 'fengni/sealer-allow@v1';
const form = new RegExp(
  `^${firstLine}\nkind (?<kind>[a-z-]+)\nafter (?<after>\\d+)\nuntil (?<until>\\d+)\n$`,
);

export interface AllowedStep extends Allowance {
  /** of a rotation: the verifier key that the next generation will have */
  readonly nextKey: string | null;
  /** what was left of a lost memory was put here, for people to look at */
  readonly kept: string | null;
}

/**
 * Permits one step, for an hour: run by whoever keeps the sealer's folder, beside a running sealer or without one.
 *
 * @throws {FengniError} `sealer-not-begun` for a rotation where nothing was signed; for a rotation also `sealer-state-damaged`
 */
export const allowNext = async (io: Io, folder: string, kind: AllowanceKind): Promise<AllowedStep> => {
  const names = await io.readFolder(folder);
  const state = await stateIn(io, folder, names, kind);
  const untilMs = io.clock.nowMs() + allowanceMs;
  let nextKey: string | null = null;
  let kept: string | null = null;
  if (kind === 'rotation') {
    if (state === null)
      throw new FengniError('sealer-not-begun', {
        subject: folder,
        remedy: 'there is no key to rotate: start the server first, or see "fengni status"',
      });
    const next = nextOrigin(state);
    nextKey = encodeVerifierKey(await provisionalKey(io, folder, next.generation, next.origin, true));
  } else if (state === null) kept = await setAside(io, folder, names);
  const allowance: Allowance = { kind, after: state?.generation ?? 0, untilMs };
  await replaceFileDurable(io, `${folder}/${allowanceFile}`, [encodeAllowance(allowance)]);
  return { ...allowance, nextKey, kept };
};

/** The state, or null where there is none to believe: a folder never used, or one whose memory or key is lost. */
const stateIn = async (
  io: Io,
  folder: string,
  names: readonly string[],
  kind: AllowanceKind,
): Promise<SealerState | null> => {
  if (!names.includes('state')) return null;
  try {
    const state = parseState(await io.readFile(`${folder}/state`));
    const hasKey = [`g${state.generation}.key`, `g${state.generation}.key.new`].some((name) =>
      names.includes(name),
    );
    return hasKey || kind === 'rotation' ? state : null;
  } catch (error) {
    if (kind === 'rotation' || !(error instanceof FengniError) || error.code !== 'sealer-state-damaged')
      throw error;
    return null;
  }
};

/** Moves what is left of a lost memory into a folder below: it may hold the old key, and nobody but people shall use it. */
const setAside = async (io: Io, folder: string, names: readonly string[]): Promise<string | null> => {
  const left = names.filter((name) => name === 'state' || /^g\d+\.key(?:\.new)?$/.test(name));
  if (left.length === 0) return null;
  let number = 1;
  while (names.includes(`before-${number}`)) number += 1;
  const kept = `${folder}/before-${number}`;
  await io.makeFolder(kept);
  for (const name of left) await io.rename(`${folder}/${name}`, `${kept}/${name}`);
  await io.syncFolder(kept);
  await io.syncFolder(folder);
  return kept;
};

/** What follows the present generation in a rotation. */
export const nextOrigin = (state: SealerState): { generation: number; origin: string } => {
  const generation = state.generation + 1;
  const parts = parseOrigin(state.key.name);
  if (parts === null) throw new TypeError('a key has an origin as its name');
  return { generation, origin: encodeOrigin({ ...parts, generation }) };
};

/** A fresh key under its provisional name, or the one that is there. */
export const provisionalKey = async (
  io: Io,
  folder: string,
  generation: number,
  origin: string,
  keep: boolean,
): Promise<SignerKey> => {
  const path = `${folder}/g${generation}.key.new`;
  if (keep && (await io.stat(path)) !== null) {
    const known = parseKeyFile(await io.readFile(path));
    if (known?.name === origin) return known;
  }
  const key = signerKey(origin, io.random(32));
  await replaceFileDurable(io, path, [utf8(`${encodeSignerKey(key)}\n`)]);
  return key;
};

/** The key in a key file, null when it is none; the text never appears in an error. */
export const parseKeyFile = (octets: Uint8Array): SignerKey | null => {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8');
  try {
    return text.endsWith('\n') ? parseSignerKey(text.slice(0, -1)) : null;
  } catch {
    return null;
  }
};
