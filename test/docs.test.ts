import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { faultTexts } from '#base/text';
import { generatedPages } from './support/generated-pages.ts';

const root = path.resolve(import.meta.dirname, '..');

for (const [name, text] of Object.entries(generatedPages())) {
  test(`${name} is what its source makes`, () => {
    const file = path.join(root, name);
    const written = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
    assert.ok(written === text, `${name} is out of date; run "npm run docs"`);
  });
}

const sources = (): string[] =>
  fs
    .readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(test|fuzz|bench)\.ts$/.test(name))
    .map((name) => path.join('src', name))
    .sort();

/** Codes in `new FengniError('code'`, `fengniError(error, 'code'`, `super('code'` of an error class, with their files. */
const codes = (): Map<string, string> => {
  const found = new Map<string, string>();
  const patterns = [
    /\bnew FengniError\(\s*'([^']+)'/g,
    /\bfengniError\(\s*[^,()]+,\s*'([^']+)'/g,
    /\bextends FengniError\b[\s\S]*?\bsuper\(\s*'([^']+)'/g,
  ];
  for (const name of sources()) {
    const text = fs.readFileSync(path.join(root, name), 'utf8');
    for (const pattern of patterns) for (const [, code = ''] of text.matchAll(pattern)) found.set(code, name);
  }
  return found;
};

test('every code of a FengniError in the source is in the catalogue, and so in docs/errors.md', () => {
  const documented = new Set(faultTexts('en').map(({ code }) => code));
  const missing = [...codes()]
    .filter(([code]) => !documented.has(code))
    .map(([code, file]) => `${code} (${file})`);
  assert.deepEqual(
    missing,
    [],
    'add error.CODE and remedy.CODE to src/base/text/en/errors.ts and zh/errors.ts, then run "npm run docs"',
  );
});

test('every code in the catalogue is one that the source uses, in kebab case', () => {
  const used = new Set(codes().keys());
  const unused = faultTexts('en').filter(({ code }) => !used.has(code) && !mentioned(code));
  assert.deepEqual(
    unused.map(({ code }) => code),
    [],
  );
  for (const { code } of faultTexts('en')) assert.match(code, /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/);
});

/** A code may be chosen by a condition or stand in a table: then it is somewhere as a word. */
const mentioned = (code: string): boolean =>
  sources().some(
    (name) =>
      !name.startsWith('src/base/text/') &&
      fs.readFileSync(path.join(root, name), 'utf8').includes(`'${code}'`),
  );

test('every page has its Chinese sister with the same headings and commands', () => {
  const pages = fs
    .readdirSync(root, { encoding: 'utf8' })
    .filter((name) => /\.zh\.md$/.test(name))
    .concat(
      fs
        .readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.zh\.md$/.test(name))
        .map((name) => path.join('docs', name)),
    );
  assert.ok(pages.length >= 4, pages.join(' '));
  for (const chinese of pages) {
    const english = chinese.replace(/\.zh\.md$/, '.md');
    const [one, other] = [english, chinese].map((name) =>
      shape(fs.readFileSync(path.join(root, name), 'utf8')),
    );
    assert.deepEqual(other, one, `${chinese} and ${english} differ in headings or commands`);
  }
});

/** Levels of the headings, and the lines of fenced code without their comments. */
const shape = (text: string): string[] => {
  const lines: string[] = [];
  let isCode = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode;
    else if (isCode) lines.push(line.replace(/\s+#.*$/, '').trimEnd());
    else if (/^#+ /.test(line)) lines.push(line.replace(/ .*/, ''));
  }
  return lines.filter((line) => line !== '' && !line.startsWith('# '));
};
