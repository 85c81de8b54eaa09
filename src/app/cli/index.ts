/**
 * The command line: `fengni COMMAND [ARGS]`.
 *
 * Always holds: exit status 0 done and good, 1 checked and bad, 2 wrong usage or configuration, 3 could not run; `--json` prints one JSON
 * value on standard output; every fault is a sentence with a remedy, in the language of `LANG`. A command is a file under `commands/`
 * and a row in `table.ts`, loaded only when it is run.
 */
export type { Command, CommandContext, CommandOption, OutputStream } from './command.ts';
export { type Progress, progress } from './progress.ts';
export { type CliProcess, runCli } from './run.ts';
export { UsageError } from './usage-error.ts';
