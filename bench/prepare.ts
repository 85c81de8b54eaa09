/**
 * A data folder for `npm run bench -- imap --prepared DIR`, made beforehand and used as often as wanted.
 *
 *     npm run bench -- prepare --folder DIR --count 1000000 [--size 2048]
 *
 * A million messages of 2 kB take about 5 GB. Interrupted, it goes on where it was.
 */
import { parseArgs } from 'node:util';
import { fillFolder } from './support/filled-folder.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    count: { type: 'string', default: '100000' },
    size: { type: 'string', default: '2048' },
  },
});
if (values.folder === undefined) throw new Error('--folder DIR');
const start = performance.now();
const cpu = process.cpuUsage();
const { count } = await fillFolder({
  folder: values.folder,
  count: Number(values.count),
  sizeBytes: Number(values.size),
  told: (done) => {
    const { user, system } = process.cpuUsage(cpu);
    process.stdout.write(
      `${done} messages, ${((performance.now() - start) / 1_000).toFixed(0)} s, ${((user + system) / 1e6).toFixed(0)} s of CPU\n`,
    );
  },
});
process.stdout.write(`${values.folder} has ${count} messages.\n`);
process.exit(0);
