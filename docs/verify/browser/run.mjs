// Runs the module for browsers in Node (22 or newer), with the command line of docs/verify_receipt.py:
//
//     node run.mjs RECEIPT MAIL.eml KEY
//
// Exit status: 0 the receipt proves the mail, 1 it does not (the reason is printed), 2 usage or key, 3 a file.
import fs from 'node:fs';
import { Malformed, parseKeys, verifyReceipt } from './verify-receipt.mjs';

const stop = (status, text) => {
  console.error(text);
  process.exit(status);
};
const read = (file) => {
  try {
    return new Uint8Array(fs.readFileSync(file));
  } catch (error) {
    return stop(error.code === 'ENOENT' && file === key && key.includes('+') ? 2 : 3, `could not read: ${error.message}`);
  }
};

const [receiptFile, mailFile, key, ...more] = process.argv.slice(2);
if (key === undefined || more.length > 0) stop(2, 'usage: run.mjs RECEIPT MAIL.eml KEY');
const [receipt, mail] = [read(receiptFile), read(mailFile)];
let keys;
try {
  keys = await parseKeys(key).catch(() => parseKeys(new TextDecoder('utf-8', { fatal: true }).decode(read(key))));
} catch (error) {
  if (!(error instanceof Malformed || error instanceof TypeError)) throw error;
  stop(2, `the key: ${error.message}`);
}
const { good, failure, checks } = await verifyReceipt(receipt, mail, keys);
for (const { name, result, reason, detail } of checks)
  console.log(`${name.padEnd(10)} ${result.padEnd(10)} ${reason}${reason === '' ? '' : ': '}${JSON.stringify(detail)}`);
console.log(good ? 'GOOD: this mail is what the receipt says' : `BAD: ${failure.name} ${failure.reason}`);
process.exitCode = good ? 0 : 1;
