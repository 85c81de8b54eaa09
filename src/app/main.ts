import { inspect } from 'node:util';
import { runCli } from '#app/cli';

// A reader that goes away (`fengni log show | head`) is no fault.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

// A bug is no answer: 1 means "checked and bad", so what nobody caught ends with 3.
process.on('uncaughtException', (error) => {
  process.stderr.write(`fengni: ${inspect(error)}\n`);
  process.exit(3);
});

const { env, stdin, stdout, stderr } = process;
process.exitCode = await runCli({
  argv: process.argv.slice(2),
  env,
  cwd: process.cwd(),
  stdin,
  stdout,
  stderr,
});
// On Linux standard streams to files, pipes and terminals are written at once, so nothing is cut off here.
process.exit();
