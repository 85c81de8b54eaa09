import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { FengniError } from '#base/errors';
import { fillIn } from './catalogue.ts';
import { en } from './en.ts';
import { faultTexts, languageOf, say, sayFault, suggest } from './index.ts';
import { zh } from './zh.ts';

const placeholders = (text: string): string[] =>
  [...text.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name = '']) => name).sort();

test('LC_ALL wins over LC_MESSAGES, that over LANG; zh in any form is Chinese, everything else English (POSIX §8.2)', () => {
  const cases: [Parameters<typeof languageOf>[0], string][] = [
    [{}, 'en'],
    [{ LANG: 'zh_CN.UTF-8' }, 'zh'],
    [{ LANG: 'zh' }, 'zh'],
    [{ LANG: 'zh-Hant-TW' }, 'zh'],
    [{ LANG: 'ZH_TW' }, 'zh'],
    [{ LANG: 'zhx_XX' }, 'en'],
    [{ LANG: 'C' }, 'en'],
    [{ LANG: 'de_DE', LC_MESSAGES: 'zh_CN' }, 'zh'],
    [{ LANG: 'zh_CN', LC_MESSAGES: 'en_GB' }, 'en'],
    [{ LANG: 'zh_CN', LC_ALL: 'C' }, 'en'],
    [{ LC_MESSAGES: 'zh_CN', LC_ALL: 'C' }, 'en'],
    [{ LANG: 'zh_CN', LC_ALL: '', LC_MESSAGES: '' }, 'zh'],
  ];
  for (const [variables, language] of cases)
    assert.equal(languageOf(variables), language, JSON.stringify(variables));
});

test('both languages have the same keys with the same placeholders, and no empty text', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    const chinese = zh[key as keyof typeof zh];
    assert.deepEqual(placeholders(chinese), placeholders(text), key);
    assert.notEqual(text, '', key);
    assert.notEqual(chinese, '', key);
  }
});

test('an area stands in both languages and in the catalogue, and no key in two areas', async () => {
  const areas = fs.readdirSync(path.join(import.meta.dirname, 'en')).sort();
  assert.deepEqual(fs.readdirSync(path.join(import.meta.dirname, 'zh')).sort(), areas);
  const keys: string[] = [];
  for (const area of areas) {
    const exported = (await import(pathToFileURL(path.join(import.meta.dirname, 'en', area)).href)) as object;
    for (const texts of Object.values(exported)) keys.push(...Object.keys(texts as object));
  }
  const twice = keys.filter((key, index) => keys.indexOf(key) !== index);
  assert.deepEqual(twice, [], 'a later area would hide the text of an earlier one');
  assert.deepEqual(keys.sort(), Object.keys(en).sort(), 'an area is missing in en.ts');
});

test('Chinese text has full-width punctuation after a Chinese character', () => {
  for (const [key, text] of Object.entries(zh)) assert.doesNotMatch(text, /[一-鿿][,:;?!]/u, key);
});

test('every fault of the catalogue has a sentence and a remedy in both languages', () => {
  for (const language of ['en', 'zh'] as const) {
    for (const { code, sentence, remedy } of faultTexts(language)) {
      assert.notEqual(sentence, '', `${language} error.${code}`);
      assert.notEqual(remedy, '', `${language} remedy.${code}`);
    }
  }
  const remedies = Object.keys(en).filter((key) => key.startsWith('remedy.'));
  assert.deepEqual(
    remedies.map((key) => key.slice(7)).sort(),
    faultTexts('en').map(({ code }) => code),
  );
});

test('a parameter is put in once, whatever braces it brings (property)', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      assert.equal(fillIn('<{a}|{b}|{a}|{none}>', { a, b }), `<${a}|${b}|${a}|{none}>`);
    }),
  );
});

test('a text is said in the language asked for', () => {
  assert.equal(say('en', 'cli.unknown-command', { name: 'x' }), 'There is no command "x".');
  assert.equal(say('zh', 'cli.unknown-command', { name: 'x' }), '没有“x”这个命令。');
});

test('a missing key, a missing parameter and a needless one are type errors', () => {
  // @ts-expect-error: there is no such key
  const unknownKey = (): string => say('en', 'cli.nothing');
  // @ts-expect-error: {name} is missing
  const missing = (): string => say('en', 'cli.unknown-command');
  // @ts-expect-error: this text has no placeholder
  const needless = (): string => say('en', 'cli.options', { name: 'x' });
  for (const wrong of [unknownKey, missing, needless]) assert.equal(typeof wrong, 'function');
});

test('a fault is told by its code; one without an entry by its own English words', () => {
  const known = new FengniError('config-unreadable', { subject: '/x', remedy: 'look at /x' });
  assert.deepEqual(sayFault('en', known), {
    sentence: 'The configuration file cannot be read: /x',
    remedy: 'look at /x',
  });
  assert.equal(sayFault('zh', known).sentence, '无法读取配置文件：/x');
  assert.equal(sayFault('zh', known).remedy, zh['remedy.config-unreadable']);
  const unknown = new FengniError('never-heard-of', { subject: 'a thing', remedy: 'do this' });
  for (const language of ['en', 'zh'] as const) {
    assert.deepEqual(sayFault(language, unknown), { sentence: 'never-heard-of: a thing', remedy: 'do this' });
  }
});

test('an error that knows its own words says them', () => {
  const error = Object.assign(new FengniError('usage', { subject: 's', remedy: 'r' }), {
    spoken: (language: string) => ({ sentence: `own ${language}`, remedy: 'own remedy' }),
  });
  assert.deepEqual(sayFault('zh', error), { sentence: 'own zh', remedy: 'own remedy' });
});

test('a mistyped word is guessed, a strange one is not', () => {
  const known = ['verify', 'verify-receipt', 'version', 'config', 'serve'];
  assert.equal(suggest('verfiy', known), 'verify');
  assert.equal(suggest('verison', known), 'version');
  assert.equal(suggest('CONFIG', known), 'config');
  assert.equal(suggest('conf', known), 'config');
  assert.equal(suggest('frobnicate', known), null);
  assert.equal(suggest('', known), null);
  assert.equal(suggest('x'.repeat(1_000_000), known), null);
  fc.assert(fc.property(fc.constantFrom(...known), (word) => suggest(word, known) === word));
});
