import assert from 'node:assert/strict';
import {
  baseSubject,
  decodeHeaderText,
  decodeParameter,
  decodeText,
  parseMediaType,
  parseMessageIds,
} from './index.ts';

export const seeds: Uint8Array[] = [
  '=?utf-8?q?a_=41?= =?utf-8?B?5Lit?= b',
  '=?gb2312?B?1tDOxA==?=',
  "name*0*=utf-8''%e4%b8; name*1*=%ad",
  'Re: [list] Fwd: x (fwd)',
  '<a@b> <c@d>',
].map((text) => Buffer.from(text));

const labels = [
  'utf-8',
  'gbk',
  'big5',
  'cp949',
  'hz',
  'iso-2022-kr',
  'iso-2022-cn',
  'iso-2022-jp',
  'utf-7',
  'utf-16',
  'utf-32',
  'x',
];

/** Any octets give text that is well formed, in any charset. */
export const run = (data: Uint8Array): void => {
  const value = Buffer.from(data).toString('latin1');
  const subject = decodeHeaderText(value);
  assert.ok(subject.isWellFormed());
  baseSubject(subject);
  parseMessageIds(value);
  decodeParameter(parseMediaType(`a/b; ${value}`)?.parameters ?? [], 'name');
  for (const label of labels) assert.ok(decodeText(data, label).text.isWellFormed(), label);
};
