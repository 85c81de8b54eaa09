import type { Translation } from './catalogue.ts';
import type { en } from './en.ts';
import { cli } from './zh/cli.ts';
import { commands } from './zh/commands.ts';
import { commandsErrors } from './zh/commands-errors.ts';
import { commandsSeal } from './zh/commands-seal.ts';
import { config } from './zh/config.ts';
import { demo } from './zh/demo.ts';
import { dns } from './zh/dns.ts';
import { erase } from './zh/erase.ts';
import { errors } from './zh/errors.ts';
import { journey } from './zh/journey.ts';
import { metrics } from './zh/metrics.ts';
import { processErrors } from './zh/process-errors.ts';
import { sealer } from './zh/sealer.ts';
import { sender } from './zh/sender.ts';
import { sendmail } from './zh/sendmail.ts';
import { serve } from './zh/serve.ts';
import { trace } from './zh/trace.ts';
import { verify } from './zh/verify.ts';
import { web } from './zh/web.ts';

/** The Chinese catalogue: the same areas and keys as the English one. */
export const zh: Translation<typeof en> = {
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
};
