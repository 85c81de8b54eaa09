import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '#base/clock';
import { type ExitStatus, FengniError } from '#base/errors';
import { type Language, say } from '#base/text';
import { writeLetters } from './letters.ts';
import { Processes } from './processes.ts';
import { Stage } from './stage.ts';
import { StepFailure } from './step-failure.ts';
import { steps } from './story.ts';
import { type Screen, type StepRecord, Telling } from './telling.ts';
import { evidenceNames, type StepName, stepNames } from './words.ts';

export interface DemoOptions {
  language: Language;
  /** null: nobody reads along */
  screen: Screen | null;
  env: NodeJS.ProcessEnv;
  /** leave the folder for the person to look at */
  keep: boolean;
  /** ends it early, in order */
  signal: AbortSignal;
  /** what somebody else does to the folders before a step begins */
  meddle?: (step: StepName, folders: { data: string; copy: string }) => void;
}

/** What `--json` prints. */
export interface DemoReport {
  good: boolean;
  steps: readonly StepRecord[];
  /** steps that were not reached */
  left: readonly StepName[];
  seconds: number;
  /** whether anybody outside this machine has seen a head */
  witnessed: false;
  /** what is kept, with `--keep` */
  folder: string | null;
  /** commands that a person can go on with */
  next: readonly string[];
}

/**
 * Tells the story with a server of its own in a temporary folder. Leaves no process behind, and no folder unless `keep`, however it ends.
 *
 * @returns status 0 when every step did what it says, 1 where one did not
 * @throws {FengniError} of status 3 where it could not run; the signal's reason where that ended it
 */
export const runDemo = async (options: DemoOptions): Promise<{ status: ExitStatus; report: DemoReport }> => {
  const { language, keep, signal, screen, env } = options;
  const startedMs = systemClock.monotonicMs();
  const folder = makeFolder(env['TMPDIR'] || os.tmpdir());
  const processes = new Processes(folder, env, language, signal);
  const clean = (): void => {
    processes.killAll();
    if (!keep) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  };
  const telling = new Telling(language, screen, stepNames.length, evidenceNames);
  // The whole process may end under us, such as when its reader goes away.
  process.once('exit', clean);
  try {
    telling.paragraph(say(language, 'demo.title'), 'bold');
    telling.paragraph(say(language, 'demo.place'));
    const good = await tell(options, new Stage({ language, telling, folder, processes, signal }));
    await processes.stopAll();
    const seconds = Math.round((systemClock.monotonicMs() - startedMs) / 100) / 10;
    const kept = keep ? folder : null;
    const next = tellEnd(telling, language, { good, seconds, kept });
    const { records } = telling;
    const left = stepNames.slice(records.length);
    const report = { good, steps: records, left, seconds, witnessed: false as const, folder: kept, next };
    return { status: good ? 0 : 1, report };
  } catch (error) {
    if (keep) telling.paragraph(say(language, 'demo.kept', { folder }));
    signal.throwIfAborted();
    throw couldNotRun(error);
  } finally {
    await processes.stopAll();
    clean();
    process.removeListener('exit', clean);
  }
};

/** @returns whether every step did what it says; the first that did not is the last one told */
const tell = async (options: DemoOptions, stage: Stage): Promise<boolean> => {
  const { language, signal, meddle } = options;
  const letters = writeLetters(language, 'admin@fengni.test', systemClock.nowMs());
  for (const name of stepNames) {
    signal.throwIfAborted();
    meddle?.(name, { data: stage.data, copy: stage.copy });
    stage.telling.begin(name, say(language, `demo.step.${name}.says`));
    try {
      stage.telling.proved(await steps[name](stage, letters));
    } catch (error) {
      signal.throwIfAborted();
      if (!isOfTheStep(error)) throw error;
      stage.telling.failed(error instanceof StepFailure ? error.spoken(language) : error.message);
      return false;
    }
  }
  return true;
};

/** What the machine cannot give is no verdict on the mail: everything else that goes wrong is. */
const isOfTheStep = (error: unknown): error is Error =>
  error instanceof Error &&
  !(error instanceof TypeError) &&
  !(error instanceof FengniError) &&
  !isOfTheMachine(error);

const machineCodes = new Set([
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EACCES',
  'EPERM',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'EAGAIN',
]);

const isOfTheMachine = (error: unknown): error is NodeJS.ErrnoException =>
  machineCodes.has((error as NodeJS.ErrnoException).code ?? '');

const couldNotRun = (error: unknown): unknown =>
  isOfTheMachine(error)
    ? new FengniError('demo-not-run', {
        subject: error.message,
        remedy: 'give it a folder with room that this user may write to: TMPDIR=DIR ./fengni demo',
        cause: error,
      })
    : error;

const makeFolder = (parent: string): string => {
  try {
    return fs.mkdtempSync(path.join(fs.realpathSync(parent), 'fengni-demo-'));
  } catch (error) {
    throw new FengniError('demo-not-run', {
      subject: error instanceof Error ? error.message : String(error),
      remedy: 'give it a folder with room that this user may write to: TMPDIR=DIR ./fengni demo',
      cause: error,
    });
  }
};

const tellEnd = (
  telling: Telling,
  language: Language,
  { good, seconds, kept }: { good: boolean; seconds: number; kept: string | null },
): string[] => {
  const commands = {
    start: 'npm start',
    send: 'swaks --server localhost:2525 --tls --to admin@fengni.test',
    receipt: './fengni receipt ID -o receipt.tlog-proof',
  };
  telling.blank();
  if (good) telling.paragraph(say(language, 'demo.good', { seconds }), 'green');
  else telling.paragraph(say(language, 'demo.bad'), 'red');
  telling.paragraph(say(language, 'demo.unwitnessed'), 'red');
  if (kept !== null) telling.paragraph(say(language, 'demo.kept', { folder: kept }));
  telling.blank();
  telling.paragraph(say(language, 'demo.next'), 'bold');
  telling.hint(commands.start, say(language, 'demo.next.start'));
  telling.hint(commands.send, say(language, 'demo.next.send'));
  telling.hint(commands.receipt, say(language, 'demo.next.receipt'));
  return Object.values(commands);
};
