import assert from 'node:assert/strict';
import { FengniError } from '#base/errors';
import { type Frame, FrameReader, FrameWriter, frameKinds } from './frame.ts';

const written = (...frames: [json: unknown, attachments: Uint8Array[]][]): Uint8Array => {
  const writer = new FrameWriter();
  for (const [json, attachments] of frames) writer.add(frameKinds.call, 7, json, attachments);
  return Buffer.concat(writer.take());
};

export const seeds: Uint8Array[] = [
  written([['echo', null], []]),
  written(
    [
      ['append', { a: 1 }],
      [new Uint8Array(3), new Uint8Array(0)],
    ],
    [['x', 'é'], [new Uint8Array(5000)]],
  ),
  new Uint8Array([0, 0, 0, 13, 1]),
  new Uint8Array([255, 255, 255, 255]),
];

/** Whole and octet by octet give the same frames and the same end; nothing but `ipc-frame-invalid` is thrown. */
export const run = (data: Uint8Array): void => {
  assert.deepEqual(read(data, Math.max(1, data.length)), read(data, 1));
};

const read = (data: Uint8Array, step: number): { frames: Frame[]; fault: string | null } => {
  const frames: Frame[] = [];
  const reader = new FrameReader({
    messageBytesMax: 65_536,
    onFrame: ({ attachments, ...rest }) =>
      frames.push({ ...rest, attachments: attachments.map((attachment) => Uint8Array.from(attachment)) }),
  });
  try {
    for (let at = 0; at < data.length; at += step) reader.push(data.subarray(at, at + step));
  } catch (error) {
    if (!(error instanceof FengniError) || error.code !== 'ipc-frame-invalid') throw error;
    return { frames, fault: error.subject };
  }
  return { frames, fault: null };
};
