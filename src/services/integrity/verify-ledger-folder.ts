import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import { type LedgerFinding, verifyLedger } from '#store/ledger';
import { parseVerifierKey, type VerifierKey } from '#trust/seal';
import { type Findings, findingOf } from './verify-finding.ts';
import { LeafChannel } from './verify-leaf-channel.ts';
import type { GenerationLeaves } from './verify-leaves.ts';

/** leaves held back until the generation's key has been read in the log */
const heldLeavesMax = 10_000;

/** Compares a generation's ledger folder with its leaves, as they come. */
export class LedgerCheck {
  readonly #io: Io;
  readonly #folder: string;
  readonly #generation: number;
  readonly #live: boolean;
  readonly #held: Uint8Array[] = [];
  #channels: LeafChannel[] = [];
  #running: Promise<LedgerFinding[]>[] = [];
  #coveredSize = 0;
  #count = 0;
  #broken = false;

  /** @param folder DATA */
  constructor(io: Io, folder: string, generation: number, live: boolean) {
    this.#io = io;
    this.#folder = folder;
    this.#generation = generation;
    this.#live = live;
  }

  /** The key that signs its heads. */
  start(key: string | null): void {
    if (this.#channels.length > 0) return;
    let keys: VerifierKey[] = [];
    try {
      if (key !== null) keys = [parseVerifierKey(key)];
    } catch {
      // told where the row was read
    }
    // What the signed head covers must be there at any time; what lies behind it only when nobody writes.
    for (const running of this.#live ? [true] : [true, false]) {
      const channel = new LeafChannel();
      this.#channels.push(channel);
      const report = verifyLedger({
        io: this.#io,
        folder: `${this.#folder}/ledger/g${this.#generation}`,
        leaves: channel,
        keys,
        running,
      });
      this.#running.push(
        report.then(
          ({ findings, checkpoint }) => {
            this.#coveredSize = Math.max(this.#coveredSize, checkpoint?.size ?? 0);
            channel.discard();
            if (running) return [...findings];
            // Behind the last head tiles may not have been written when the process ended; the next start does it.
            const isBehind = this.#coveredSize < this.#count;
            return findings.filter(({ problem }) => !(isBehind && problem === 'absent'));
          },
          (error: unknown) => {
            channel.discard();
            if (error instanceof BrokenOff) return [];
            throw error;
          },
        ),
      );
    }
  }

  async leaf(octets: Uint8Array): Promise<void> {
    if (this.#broken) return;
    this.#count += 1;
    if (this.#channels.length === 0) {
      this.#held.push(octets.slice());
      if (this.#held.length < heldLeavesMax) return;
      this.start(null);
    }
    await this.#flush();
    for (const channel of this.#channels) await channel.push(octets);
  }

  /** A leaf could not be read: what follows it cannot be compared. */
  broken(): void {
    this.#broken = true;
  }

  /** Whether a checkpoint is beyond the leaves is told by the comparison of heads, which says more. */
  async finish(findings: Findings, leaves: GenerationLeaves): Promise<void> {
    if (this.#channels.length === 0) this.start(null);
    await this.#flush();
    for (const channel of this.#channels) {
      if (this.#broken) channel.fail(new BrokenOff());
      else channel.end();
    }
    if (this.#broken) findings.note('not-compared', `ledger/g${this.#generation}`);
    const all = (await Promise.all(this.#running)).flat();
    const file = `ledger/g${this.#generation}/checkpoint`;
    if (
      !this.#live &&
      this.#coveredSize < leaves.headBefore &&
      !all.some(({ path }) => path === 'checkpoint')
    )
      findings.add(
        findingOf(
          'ledger-damaged',
          `absent or older (${this.#coveredSize} leaves) than the heads in the log (${leaves.head?.size ?? 0})`,
          { file },
        ),
      );
    const isBeyond = all.some(({ problem }) => problem === 'checkpoint-beyond');
    for (const { path, problem } of all) {
      if (problem === 'checkpoint-beyond') continue;
      // Tiles of leaves that the log has lost belong to that finding.
      if (isBeyond && problem === 'unexpected') continue;
      findings.add(findingOf('ledger-damaged', problem, { file: `ledger/g${this.#generation}/${path}` }));
    }
  }

  async #flush(): Promise<void> {
    const held = this.#held.splice(0);
    for (const octets of held) for (const channel of this.#channels) await channel.push(octets);
  }
}

class BrokenOff extends FengniError {
  constructor() {
    super('log-damaged', { subject: 'a leaf cannot be read', remedy: 'repair the log first', exitStatus: 1 });
  }
}
