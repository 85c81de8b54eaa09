import { latin1 } from '#base/bytes';
import { expandMacros, type MacroValues, parseMacroString } from './macro.ts';

export const seeds: Uint8Array[] = [
  '%{ir}.%{v}._spf.%{d2}',
  '%{l1r+-.,/_=}._spf.%{d}',
  '%{S}%{L}%{O}%{D}%{I}%{P}%{H}%{C}%{R}%{T}',
  'See http://%{d}/why.html?s=%{S}&i=%{C} now%_%-%%',
  '%{d99999999999999999999r}',
  '%{%{d}}',
].map((text) => Buffer.from(text));

const values: MacroValues = {
  s: 'strong-bad@email.example.com',
  l: 'strong-bad',
  o: 'email.example.com',
  d: 'email.example.com',
  i: '192.0.2.3',
  p: 'mx.example.org',
  h: 'mail.example.com',
  v: 'in-addr',
  c: '192.0.2.3',
  r: 'receiver.example',
  t: '1700000000',
};
const lengthMax = 512;

/** An expansion is bounded, has only characters that print, and says the same twice. */
export const run = (data: Uint8Array): void => {
  for (const mayExplain of [false, true]) {
    const parts = parseMacroString(latin1(data), mayExplain);
    if (parts === null) continue;
    const text = expandMacros(parts, values, lengthMax);
    if (text === null) continue;
    if (text.length > lengthMax || !/^[ -~]*$/.test(text)) throw new Error('beyond its bounds');
    if (text !== expandMacros(parts, values, lengthMax)) throw new Error('not the same twice');
  }
};
