import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** One line of the tally: what the test runner says, for `test/run.ts`. */
export type TallyLine =
  | { kind: 'start'; file: string; name: string }
  | {
      kind: 'end';
      file: string;
      name: string;
      outcome: 'passed' | 'failed' | 'skipped';
      reason: string;
      line: number;
      durationMs: number;
    }
  | { kind: 'note'; file: string; text: string };

/** Reporter for `--test-reporter`: a JSON line for each test begun and ended, suites left out. */
export default async function* tally(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const line = tallyLine(event);
    if (line !== null) yield `${JSON.stringify(line)}\n`;
  }
}

const tallyLine = (event: TestEvent): TallyLine | null => {
  if (event.type === 'test:start') {
    return { kind: 'start', file: event.data.file ?? '', name: event.data.name };
  }
  if (event.type === 'test:diagnostic') {
    // Without a file these are the runner's own totals.
    const { file, message } = event.data;
    return file === undefined ? null : { kind: 'note', file, text: message };
  }
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return null;
  const { file = '', name, line = 0, skip, todo, details } = event.data;
  const hasFailed = event.type === 'test:fail';
  if (details.type === 'suite' && !(hasFailed && ownFault(event))) return null;
  const isSkipped = skip !== undefined || todo !== undefined;
  const reason =
    'error' in details
      ? inspect(details.error.cause ?? details.error, { depth: 6 })
      : skipReason(skip ?? todo);
  return {
    kind: 'end',
    file,
    name,
    outcome: hasFailed ? 'failed' : isSkipped ? 'skipped' : 'passed',
    reason,
    line,
    durationMs: details.duration_ms,
  };
};

const skipReason = (given: string | boolean | undefined): string => (typeof given === 'string' ? given : '');

/** A suite that failed only since a test in it did has nothing to add. */
const ownFault = (event: Extract<TestEvent, { type: 'test:fail' }>): boolean => {
  const { error } = event.data.details;
  return !('failureType' in error && error.failureType === 'subtestsFailed');
};
