import { acceptLoss } from '#app/connect';
import { newestHead } from '#services/integrity';
import { nodeIo } from '#store/durable';
import type { CommandContext } from '../command.ts';

/** `fengni log new-generation` */
export const beginGeneration = async (context: CommandContext): Promise<void> => {
  const dataFolder = await context.dataFolder();
  const outcome = await acceptLoss({ dataFolder, config: await context.config(), logger: context.logger });
  switch (outcome.kind) {
    case 'nothing-lost':
      context.print(context.say('log.generation.kept'));
      break;
    case 'sealer-followed':
      context.print(context.say('log.generation.sealer', { generation: outcome.generation }));
      break;
    case 'begun': {
      const { generation, before, after, lost } = outcome.info;
      context.print(context.say('log.generation.begun', { generation, before, after }));
      for (const { file, from, to } of lost)
        context.print(context.say('log.generation.lost', { file, from, to }));
      if (outcome.sealerFolderKept !== null)
        context.print(context.say('log.generation.sealer-kept', { folder: outcome.sealerFolderKept }));
      break;
    }
  }
  if (!context.json) return;
  const head = await newestHead({ io: nodeIo, folder: dataFolder });
  const { kind } = outcome;
  context.printJson({
    kind,
    ...(kind === 'begun' ? { ...outcome.info, sealerFolderKept: outcome.sealerFolderKept } : {}),
    ...(kind === 'sealer-followed' ? { generation: outcome.generation } : {}),
    head: head === null ? null : { origin: head.checkpoint.origin, size: head.checkpoint.size },
  });
};
