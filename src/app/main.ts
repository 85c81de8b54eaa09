import { runCli } from '#app/cli';

// A reader that goes away (`fengni log show | head`) is no fault.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

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
