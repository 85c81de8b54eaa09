import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { Coverage } from './coverage.ts';
import { dictionary } from './dictionary.ts';
import { createDice, mutate } from './mutate.ts';
import { inputBytesMax, type Report, type Task } from './report.ts';

/** What a fuzz target exports. */
interface Target {
  seeds: readonly Uint8Array[];
  /** throws on a finding; what it should expect of a stranger's octets is no finding */
  run(data: Uint8Array): void;
}

const corpusMax = 2_000;
const shorteningsMax = 500;

const { file, root, seed, budgetMs, executionsMax, shared } = workerData as Task;
const progress = new Int32Array(shared, 0, 2);
const slot = new Uint8Array(shared, 8);
const folder = path.dirname(file);
const isOwn = file.startsWith(root + path.sep);

const main = async (): Promise<Report> => {
  const { seeds, run } = (await import(pathToFileURL(file).href)) as Target;
  const coverage = new Coverage(isOwn ? path.join(root, 'src') : folder);
  const dice = createDice(seed);
  const corpus: Uint8Array[] = [];
  let executions = 0;

  /** What the target says to an input: null, or why it is a finding. The input is where the other thread sees it. */
  const fault = (input: Uint8Array): string | null => {
    slot.set(input);
    Atomics.store(progress, 1, input.length);
    Atomics.add(progress, 0, 1);
    executions++;
    try {
      // A copy: a target that keeps or changes its input does not reach ours.
      const answer: unknown = run(input.slice());
      return answer instanceof Promise ? 'run returned a promise; it has to be synchronous' : null;
    } catch (error) {
      return inspect(error);
    }
  };
  const report = (input: Uint8Array, reason: string): Report => {
    const shortest = shorten(input, (shorter) => fault(shorter) !== null);
    return {
      executions,
      corpus: corpus.length,
      finding: { input: shortest, reason: fault(shortest) ?? reason },
    };
  };

  coverage.takeIsNew();
  for (const given of [...seeds, new Uint8Array(0)]) {
    const input = given.subarray(0, inputBytesMax);
    const reason = fault(input);
    if (reason !== null) return report(input, reason);
    if (coverage.takeIsNew() || corpus.length < seeds.length) corpus.push(input);
  }
  if (corpus.length === 0) corpus.push(new Uint8Array(0));
  const lenders = { corpus, words: dictionary(coverage.urls) };
  const endsAtMs = performance.now() + budgetMs;
  while (executions < executionsMax && performance.now() < endsAtMs) {
    // Half of the time one of the newest: what reached something new is closest to the next thing.
    const index = dice(2) === 0 ? dice(corpus.length) : corpus.length - 1 - dice(Math.min(corpus.length, 8));
    const input = mutate(corpus[index] ?? new Uint8Array(0), lenders, dice);
    const reason = fault(input);
    if (reason !== null) return report(input, reason);
    if (coverage.takeIsNew() && corpus.length < corpusMax) corpus.push(input);
  }
  return { executions, corpus: corpus.length, finding: null };
};

/** The input with everything left out that the finding does not need, as far as a few hundred tries tell. */
const shorten = (input: Uint8Array, isFinding: (shorter: Uint8Array) => boolean): Uint8Array => {
  let best = input;
  let tries = 0;
  for (let piece = Math.ceil(best.length / 2); piece >= 1; piece = Math.floor(piece / 2)) {
    for (let at = 0; at < best.length && tries < shorteningsMax; tries++) {
      const shorter = new Uint8Array([...best.subarray(0, at), ...best.subarray(at + piece)]);
      if (isFinding(shorter)) best = shorter;
      else at += piece;
    }
  }
  return best;
};

parentPort?.postMessage(await main());
