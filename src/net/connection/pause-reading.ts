import { Socket } from 'node:net';

/** What Node's sockets have inside, and use so themselves where the caller brings the buffer to read into (`onread`). */
interface WithHandle {
  _handle?: { reading?: boolean; readStart?(): number; readStop?(): number } | null;
}

/**
 * Stops reading from the kernel at once.
 *
 * `Socket.pause` reads once more and keeps that: 64 KiB of each session that waits for the disk, for so long that only a collection of the
 * whole heap finds them afterwards. A socket that has no such handle is paused as Node pauses it.
 */
export const pauseReading = (socket: Socket): void => {
  socket.pause();
  const { _handle: handle } = socket as WithHandle;
  if (!handle?.reading || handle.readStop === undefined) return;
  handle.reading = false;
  handle.readStop();
  // A stream that is paused still fills its own buffer.
  socket._read = readNothing;
};

export const resumeReading = (socket: Socket): void => {
  if (socket._read === readNothing) socket._read = Socket.prototype._read;
  socket.resume();
  const { _handle: handle } = socket as WithHandle;
  if (handle?.reading !== false || handle.readStart === undefined || socket.connecting) return;
  handle.reading = true;
  handle.readStart();
};

const readNothing = (): void => {};
