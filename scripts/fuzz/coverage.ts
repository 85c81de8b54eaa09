import { type Profiler, Session } from 'node:inspector';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Says whether an execution reached anything new.
 *
 * V8 tells, for each function that ran, its ranges and how often each ran. A range as frequent as the one around it is not listed, so
 * counting ranges finds nothing: the whole list of a function, each range as ran or not, is the sign that is new or known.
 */
export class Coverage {
  readonly #session = new Session();
  readonly #known = new Set<string>();
  readonly #under: string;
  /** of the files that have run */
  readonly urls = new Set<string>();

  /** @param root only files below it count */
  constructor(root: string) {
    this.#under = pathToFileURL(root + path.sep).href;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Whether what ran since the last call shows anything that no call has seen before. */
  takeIsNew(): boolean {
    let isNew = false;
    for (const { url, scriptId, functions } of this.#take()) {
      if (!url.startsWith(this.#under) || url.includes('/node_modules/')) continue;
      this.urls.add(url);
      for (const { ranges } of functions) {
        if (ranges[0] === undefined || ranges[0].count === 0) continue;
        let sign = `${scriptId}`;
        for (const { startOffset, count } of ranges) sign += `${count === 0 ? '-' : '+'}${startOffset}`;
        if (this.#known.has(sign)) continue;
        this.#known.add(sign);
        isNew = true;
      }
    }
    return isNew;
  }

  #take(): readonly Profiler.ScriptCoverage[] {
    let result: readonly Profiler.ScriptCoverage[] = [];
    // In the same thread the answer comes before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (_error, answer) => {
      result = answer?.result ?? [];
    });
    return result;
  }
}
