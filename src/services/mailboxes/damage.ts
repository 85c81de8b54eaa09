import { FengniError } from '#base/errors';

/** Whether something stored is not what was written: it is not shown, and all else goes on. */
export const isDamage = (error: unknown): error is FengniError =>
  error instanceof FengniError && error.code.endsWith('-damaged');
