import type { Clock } from '#base/clock';
import { parseTilePath, tileWidth } from '#trust/seal';
import { HttpRefusal, type HttpReply, type Route, textReply } from './router.ts';

export interface SealOptions {
  clock: Clock;
  /**
   * Reads a file of the ledger of one generation: `checkpoint`, or the path of a hash tile as `tilePath` writes it. Null where it is
   * not there. Nothing else is ever asked for.
   */
  read: (generation: number, path: string) => Promise<Uint8Array | null>;
  /** the verifier keys of all generations with their ranges, as `fengni log key` prints them; null before the first head */
  keys: () => Promise<string | null>;
}

/** The public copy of a head moves once a minute, so that it tells nobody when one mail arrived. */
export const checkpointLifeMs = 60_000;

const hashBytes = 32;
/** Public data that a verifier in any page may read. */
const openHeaders = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' };

/**
 * The public part of the ledger.
 *
 * @source C2SP tlog-tiles “Checkpoints”, “Merkle Tree”; entry bundles are for auditors
 */
export const sealRoutes = (options: SealOptions): Route[] => {
  const copies = new Map<number, { octets: Uint8Array; takenMs: number }>();

  const checkpoint = async (generation: number): Promise<HttpReply> => {
    const nowMs = options.clock.monotonicMs();
    let copy = copies.get(generation);
    if (copy === undefined || nowMs - copy.takenMs >= checkpointLifeMs) {
      const octets = await options.read(generation, 'checkpoint');
      if (octets === null) return notThere();
      copy = { octets, takenMs: nowMs };
      // generations that exist are few: only these get here
      copies.set(generation, copy);
    }
    const maxAge = Math.ceil((copy.takenMs + checkpointLifeMs - nowMs) / 1_000);
    return {
      status: 200,
      headers: {
        ...openHeaders,
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': `public, max-age=${maxAge}`,
      },
      body: copy.octets,
    };
  };

  const tile = async (generation: number, path: string): Promise<HttpReply> => {
    const name = parseTilePath(path);
    if (name === null) return notThere();
    if (name.level === 'entries')
      return textReply(
        403,
        'Entries are for auditors with a token; hash tiles, checkpoint and key are public and are enough to check a receipt.',
      );
    const octets = await options.read(generation, path);
    if (octets === null) return notThere();
    if (octets.length !== name.width * hashBytes) throw new HttpRefusal(500, 'This tile is damaged here.');
    return {
      status: 200,
      headers: {
        ...openHeaders,
        'content-type': 'application/octet-stream',
        'cache-control':
          name.width === tileWidth ? 'public, max-age=31536000, immutable' : 'public, max-age=60',
      },
      body: octets,
    };
  };

  return [
    {
      method: 'GET',
      path: '/seal/key',
      handle: async () => {
        const text = await options.keys();
        if (text === null) return textReply(404, 'There is no key before the first head.');
        return {
          status: 200,
          headers: {
            ...openHeaders,
            'content-type': 'text/plain; charset=utf-8',
            'cache-control': 'public, max-age=60',
          },
          body: text,
        };
      },
    },
    {
      method: 'GET',
      path: '/seal/:generation/*path',
      handle: ({ path }) => {
        // the path as sent: one spelling each, no percent signs
        const match = /^\/seal\/g([1-9][0-9]{0,8})\/(.+)$/.exec(path);
        if (match === null) return notThere();
        const generation = Number(match[1]);
        const rest = match[2] as string;
        return rest === 'checkpoint' ? checkpoint(generation) : tile(generation, rest);
      },
    },
  ];
};

const notThere = (): HttpReply => textReply(404, 'The ledger has no such file.');
