import type { PlainTextKey } from '#base/text';
import type { Command } from './command.ts';

export interface CommandRow {
  readonly name: string;
  /** its line in `fengni --help` */
  readonly summaryKey: PlainTextKey;
  /** loads the command's file, only when it is asked for: `serve` has to start quickly */
  load(): Promise<{ command: Command }>;
}

/**
 * Every command, in the order of `fengni --help`.
 *
 * To add one: write `commands/NAME.ts` exporting `const command: Command`, add its summary to `src/base/text/en/cli.ts` and `zh/cli.ts`
 * (or to an area of its own), and a row here. Import what is large inside `run`.
 */
export const commands: readonly CommandRow[] = [
  { name: 'serve', summaryKey: 'serve.summary', load: () => import('./commands/serve.ts') },
  { name: 'demo', summaryKey: 'demo.summary', load: () => import('./commands/demo.ts') },
  { name: 'status', summaryKey: 'status.summary', load: () => import('./commands/status.ts') },
  { name: 'domain', summaryKey: 'domain.summary', load: () => import('./commands/domain.ts') },
  { name: 'account', summaryKey: 'account.summary', load: () => import('./commands/account.ts') },
  { name: 'alias', summaryKey: 'alias.summary', load: () => import('./commands/alias.ts') },
  { name: 'hold', summaryKey: 'hold.summary', load: () => import('./commands/hold.ts') },
  { name: 'deliver', summaryKey: 'deliver.summary', load: () => import('./commands/deliver.ts') },
  { name: 'sendmail', summaryKey: 'sendmail.summary', load: () => import('./commands/sendmail.ts') },
  { name: 'show', summaryKey: 'show.summary', load: () => import('./commands/show.ts') },
  { name: 'trace', summaryKey: 'trace.summary', load: () => import('./commands/trace.ts') },
  { name: 'receipt', summaryKey: 'receipt.summary', load: () => import('./commands/receipt.ts') },
  {
    name: 'verify-receipt',
    summaryKey: 'verify-receipt.summary',
    load: () => import('./commands/verify-receipt.ts'),
  },
  {
    name: 'verify-dkim',
    summaryKey: 'verify-dkim.summary',
    load: () => import('./commands/verify-dkim.ts'),
  },
  { name: 'verify', summaryKey: 'verify.summary', load: () => import('./commands/verify.ts') },
  { name: 'log', summaryKey: 'log.summary', load: () => import('./commands/log.ts') },
  { name: 'index', summaryKey: 'index.summary', load: () => import('./commands/index-command.ts') },
  { name: 'sealer', summaryKey: 'sealer.summary', load: () => import('./commands/sealer.ts') },
  { name: 'config', summaryKey: 'cli.config.summary', load: () => import('./commands/config.ts') },
  { name: 'version', summaryKey: 'cli.version.summary', load: () => import('./commands/version.ts') },
];
