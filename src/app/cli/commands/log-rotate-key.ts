import { rotateKey } from '#app/connect';
import type { CommandContext } from '../command.ts';

/** `fengni log rotate-key` */
export const rotate = async (context: CommandContext): Promise<void> => {
  const dataFolder = await context.dataFolder();
  const rotated = await rotateKey({ dataFolder, config: await context.config(), logger: context.logger });
  const { generation, key, followed, sealedLeaves } = rotated;
  context.print(
    followed
      ? context.say('log.generation.sealer', { generation })
      : context.say('log.rotated', { generation, before: generation - 1, leaves: sealedLeaves }),
  );
  context.print(key);
  if (context.json) context.printJson(rotated);
};
