// Makes index.html, one file that works from a disk, of page.html, verify-receipt.mjs and page.mjs:
//
//     node docs/verify/browser/make-page.mjs
//
// A browser loads no module from a file: URL, so the scripts stand in the page; its policy names their hash and allows
// nothing else, no connection either.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const read = (name) => fs.readFileSync(path.join(import.meta.dirname, name), 'utf8');
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export function makePage() {
  const template = read('page.html');
  const script = `\n${read('verify-receipt.mjs')}\n${read('page.mjs')}`;
  if (script.includes('</script') || script.includes('<!--')) throw new Error('the script would end in its middle');
  const style = /<style>([^]*?)<\/style>/.exec(template)[1];
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`;
  return template.replace('{policy}', () => policy).replace('{script}', () => script);
}

if (process.argv[1] === import.meta.filename)
  fs.writeFileSync(path.join(import.meta.dirname, 'index.html'), makePage());
