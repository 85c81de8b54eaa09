/**
 * Records what postal-mime and mailparser make of the messages of the MIME corpora: subject, text, attachments.
 *
 *     npm install --ignore-scripts postal-mime@4.0.0 mailparser@3.14.2     (in a folder of its own)
 *     node record-opinions.mjs CORPORA > opinions.jsonl                    (from there)
 *
 * No text of anybody's: hashes only, 16 hex digits of SHA-256; of texts without any blanks, so that neither line ends nor
 * format=flowed count; of attachments with LF as line end and none at their end, since postal-mime changes those of text.
 * One JSON object a line; `null` where there is none.
 */
import crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(`${process.cwd()}/`));
const { default: PostalMime } = await import(pathToFileURL(require.resolve('postal-mime')).href);
const { simpleParser } = require('mailparser');

const corpora = process.argv[2];
const folders = [
  'mime-cpython',
  'mime-enmime',
  'mime-mime4j',
  'mime-ruby-mail',
  'mime-stalwart',
  'eai',
  'mail-rspamd',
];

const hash = (data) => crypto.hash('sha256', data).slice(0, 16);
const ofText = (text) => {
  const words = (text ?? '').replace(/\s+/g, '');
  return words === '' ? null : hash(words);
};
const opinion = (subject, text, attachments) => ({
  subject: ofText(subject),
  text: ofText(text),
  attachments: attachments.map(({ name, content }) => [
    name ? ofText(name) : null,
    hash(
      content === undefined
        ? ''
        : Buffer.from(
            Buffer.from(content).toString('latin1').replace(/\r\n/g, '\n').replace(/\n+$/, ''),
            'latin1',
          ),
    ),
  ]),
});

for (const folder of folders) {
  const files = fs
    .readdirSync(path.join(corpora, folder), { recursive: true })
    .filter((file) =>
      /\.(?:eml|msg|raw)$|msg_\d+\w?\.txt$|^(?:addresses|attachment|from|mimefield|not-emoji|punycode)$/.test(
        file,
      ),
    )
    .filter((file) => fs.statSync(path.join(corpora, folder, file)).isFile())
    .sort();
  for (const file of files) {
    const octets = fs.readFileSync(path.join(corpora, folder, file));
    const answers = {};
    try {
      const mail = await PostalMime.parse(octets, { rfc822Attachments: true });
      answers['postal-mime'] = opinion(
        mail.subject,
        mail.text,
        mail.attachments.map(({ filename, content }) => ({ name: filename, content })),
      );
    } catch (error) {
      answers['postal-mime'] = { refused: String(error.message).slice(0, 80) };
    }
    try {
      const mail = await simpleParser(octets, {
        skipHtmlToText: true,
        skipTextToHtml: true,
        skipImageLinks: true,
      });
      answers.mailparser = opinion(
        mail.subject,
        mail.text,
        mail.attachments.map(({ filename, content }) => ({ name: filename, content })),
      );
    } catch (error) {
      answers.mailparser = { refused: String(error.message).slice(0, 80) };
    }
    console.log(JSON.stringify({ file: `${folder}/${file}`, ...answers }));
  }
}
