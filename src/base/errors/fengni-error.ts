/** 0 done and good · 1 checked and bad · 2 usage or configuration · 3 could not run. */
export type ExitStatus = 0 | 1 | 2 | 3;

export interface ErrorDetails {
  /** what the error is about: a file and offset, a mailbox, a setting; never a secret, never message content */
  subject: string;
  /** what the reader can do next, a sentence */
  remedy: string;
  /** whether the same call may succeed later without anybody doing anything */
  retryable?: boolean;
  exitStatus?: ExitStatus;
  cause?: unknown;
}

/**
 * A fault with a stable code, the thing it concerns and what to do next.
 *
 * `message` is `code: subject` so that a stack trace reads well; people see it through the text catalogue.
 */
export class FengniError extends Error {
  readonly code: string;
  readonly subject: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly exitStatus: ExitStatus;

  constructor(code: string, details: ErrorDetails) {
    super(`${code}: ${details.subject}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'FengniError';
    this.code = code;
    this.subject = details.subject;
    this.remedy = details.remedy;
    this.retryable = details.retryable ?? false;
    this.exitStatus = details.exitStatus ?? 3;
  }
}

/** Whether something stored is not what was written: it is not shown, and all else goes on. */
export const isDamage = (error: unknown): error is FengniError =>
  error instanceof FengniError && error.code.endsWith('-damaged');

/** The error itself when it is one of ours, otherwise the given wrapping of it. */
export const fengniError = (
  error: unknown,
  code: string,
  details: Omit<ErrorDetails, 'cause'>,
): FengniError =>
  error instanceof FengniError ? error : new FengniError(code, { ...details, cause: error });
