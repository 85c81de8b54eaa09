import fs from 'node:fs';
import path from 'node:path';
import { generatedPages } from '../test/support/generated-pages.ts';

// `npm run docs`: writes the pages that are made from the source. A test holds them to it.

const root = path.resolve(import.meta.dirname, '..');
for (const [name, text] of Object.entries(generatedPages())) {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), text);
  process.stdout.write(`${name}\n`);
}
