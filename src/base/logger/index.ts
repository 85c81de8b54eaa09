/**
 * The log for people and their tools: one event a line on standard error.
 *
 * Text on a terminal, JSON elsewhere. Constant phrases with fields; ids yes, addresses at debug, content and secrets never.
 * The fields are a contract: `docs/operate/log.md`.
 */
export {
  createLogger,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  silentLogger,
} from './logger.ts';
