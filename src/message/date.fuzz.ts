import assert from 'node:assert/strict';
import { parseDate } from './index.ts';

export const seeds: Uint8Array[] = [
  'Thu, 15 Feb 2007 01:02:03 +0200',
  '15 Feb 07 01:02 EST (comment)',
  'Thu Feb 15 01:02:03 2007',
  '2007-02-15T01:02:03Z',
].map((text) => Buffer.from(text));

/** A date is null or one that a calendar has. */
export const run = (data: Uint8Array): void => {
  const date = parseDate(Buffer.from(data).toString('latin1'));
  if (date === null) return;
  assert.ok(Number.isFinite(new Date(date.epochMs).getTime()));
  assert.ok(Number.isInteger(date.offsetMinutes) && Math.abs(date.offsetMinutes) < 24 * 60);
};
