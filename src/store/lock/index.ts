/** The lock of a data folder: one writer, whoever it is; free when its process is gone, however it ended. */
export { type FolderLock, type LockOutcome, lockHolder, takeLock } from './lock.ts';
