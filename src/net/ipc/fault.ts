import { type ExitStatus, FengniError } from '#base/errors';

/** A fault as it travels: without stack and cause. */
export interface FaultJson {
  code: string;
  subject: string;
  remedy: string;
  retryable: boolean;
  exitStatus: ExitStatus;
}

/** Our own faults as they are; anything else says only which method it came from. */
export const faultJson = (error: unknown, method: string): FaultJson => {
  const fault =
    error instanceof FengniError
      ? error
      : new FengniError('ipc-handler-failed', {
          subject: `method ${method}`,
          remedy: 'this is a mistake in Fengni; the log of the other process has the details',
        });
  const { code, subject, remedy, retryable, exitStatus } = fault;
  return { code, subject, remedy, retryable, exitStatus };
};

/** The fault of an error frame; fields of a wrong type are replaced, since half a fault is better than none. */
export const faultOf = (json: unknown): FengniError => {
  const fields = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const text = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise);
  const status = fields['exitStatus'];
  return new FengniError(text(fields['code'], 'ipc-handler-failed'), {
    subject: text(fields['subject'], 'an answer without a reason'),
    remedy: text(fields['remedy'], 'restart the server'),
    retryable: fields['retryable'] === true,
    exitStatus: status === 0 || status === 1 || status === 2 ? status : 3,
  });
};

export const closedFault = (cause?: unknown): FengniError =>
  new FengniError('ipc-closed', {
    subject: 'a connection between two of our processes',
    remedy: 'the other process ended; try again',
    retryable: true,
    cause,
  });
