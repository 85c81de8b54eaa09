/**
 * Folders for `npm run bench -- imap … --prepared DIR`, made beforehand and used as often as wanted: DIR/fengni, DIR/maildir, DIR/sdbox.
 *
 *     npm run bench -- prepare --folder DIR --count 1000000 [--size 2048] [--peers fengni]
 *
 * A million messages of 2 kB take about 6 GB. Fengni's folder goes on where it was interrupted; one that is ready is left as it is.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fillDovecot, fillFengni, readPrepared } from './support/filled-folder.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    count: { type: 'string', default: '100000' },
    size: { type: 'string', default: '2048' },
    peers: { type: 'string', default: 'fengni' },
  },
});
if (values.folder === undefined) throw new Error('--folder DIR');
for (const name of values.peers.split(',')) {
  const folder = path.join(values.folder, name);
  const start = performance.now();
  const filling = {
    folder,
    count: Number(values.count),
    sizeBytes: Number(values.size),
    told: (done: number) =>
      process.stdout.write(`${name}: ${done}, ${((performance.now() - start) / 1_000).toFixed(0)} s\n`),
  };
  if (readPrepared(folder)?.count === filling.count) continue;
  if (name === 'fengni') await fillFengni(filling);
  else await fillDovecot(filling, name === 'maildir' ? 'Maildir' : 'sdbox');
  process.stdout.write(`${folder} has ${filling.count} messages.\n`);
}
process.exit(0);
