import { cli } from './en/cli.ts';
import { commands } from './en/commands.ts';
import { commandsErrors } from './en/commands-errors.ts';
import { commandsSeal } from './en/commands-seal.ts';
import { config } from './en/config.ts';
import { demo } from './en/demo.ts';
import { dns } from './en/dns.ts';
import { erase } from './en/erase.ts';
import { errors } from './en/errors.ts';
import { journey } from './en/journey.ts';
import { metrics } from './en/metrics.ts';
import { processErrors } from './en/process-errors.ts';
import { sealer } from './en/sealer.ts';
import { sender } from './en/sender.ts';
import { sendmail } from './en/sendmail.ts';
import { serve } from './en/serve.ts';
import { trace } from './en/trace.ts';
import { verify } from './en/verify.ts';
import { web } from './en/web.ts';

/** The English catalogue: one file an area, merged here. It also says which keys and placeholders exist. */
export const en = {
  ...cli,
  ...commands,
  ...commandsErrors,
  ...commandsSeal,
  ...config,
  ...demo,
  ...dns,
  ...erase,
  ...errors,
  ...journey,
  ...metrics,
  ...processErrors,
  ...sealer,
  ...sender,
  ...sendmail,
  ...serve,
  ...trace,
  ...verify,
  ...web,
} as const;
