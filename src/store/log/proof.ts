import { frameTypes, parseCommitBody } from '#store/segments';
import { parseCheckpoint, parseOrigin } from '#trust/seal';
import type { ChainState } from './chain.ts';
import { findFrame, readFrame } from './checked-frame.ts';
import type { Window } from './window.ts';

/**
 * Whether anything behind a group that cannot be believed shows that it was once acknowledged: only then it is damage.
 * A group is written when the one before it is durable, so a frame of a later group is proof; so is a signed head.
 */
export const proofOfMore = async (
  window: Window,
  from: number,
  end: number,
  state: Pick<ChainState, 'generation' | 'lastSeq' | 'group' | 'leaves'>,
): Promise<string | null> => {
  let ownCommit: number | null = null;
  for (let at = await findFrame(window, from, end); at !== null; ) {
    const read = await readFrame(window, at, end);
    const head = read.kind === 'frame' ? read.frame.head : read.head;
    const seq = head?.record.seq ?? 0;
    if (ownCommit !== null && seq > ownCommit) return `frame ${seq}, of a later group, follows at ${at}`;
    if (read.kind === 'frame' && read.frame.clearBody !== null) {
      const { type } = read.frame.head.record;
      const commit = type === frameTypes.COMMIT ? parseCommitBody(read.frame.clearBody) : null;
      if (commit !== null && commit.generation === state.generation && commit.first > state.lastSeq) {
        if (commit.group > state.group + 1)
          return `group ${commit.group} follows, whole to its COMMIT at ${at}`;
        if (commit.group === state.group + 1) ownCommit = seq;
      }
      if (type === frameTypes.HEAD) {
        const size = headSize(read.frame.clearBody, state.generation);
        if (size > state.leaves) return `a signed head over ${size} leaves follows at ${at}`;
      }
    }
    at = await findFrame(
      window,
      at + (head === null ? 8 : Math.max(8, read.kind === 'frame' ? head.lengthBytes : 8)),
      end,
    );
  }
  return null;
};

const headSize = (note: Uint8Array, generation: number): number => {
  try {
    const checkpoint = parseCheckpoint(note);
    return parseOrigin(checkpoint.origin)?.generation === generation ? checkpoint.size : 0;
  } catch {
    return 0;
  }
};
