import { type Connected, connect } from '#app/connect';
import type { CommandContext } from '../command.ts';

/** Reaches the writer for one piece of work: the running server's, or one in this process where none runs. */
export const withWriter = async <Result>(
  context: CommandContext,
  work: (writer: Connected) => Promise<Result>,
): Promise<Result> => {
  const writer = await connect({
    dataFolder: await context.dataFolder(),
    config: await context.config(),
    logger: context.logger,
  });
  try {
    return await work(writer);
  } finally {
    await writer.close();
  }
};
