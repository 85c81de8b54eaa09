import type { Clock } from '#base/clock';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** a logger that adds these fields to every event */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  clock: Clock;
  /** events below it are dropped */
  level: LogLevel;
  form: 'text' | 'json';
  /** takes one line, its line end included */
  write(line: string): void;
  fields?: LogFields;
}

const ranks = { debug: 0, info: 1, warn: 2, error: 3 } as const;

/** A logger that writes one line an event. */
export const createLogger = (options: LoggerOptions): Logger => {
  const log = (level: LogLevel, event: string, fields: LogFields = {}): void => {
    if (ranks[level] < ranks[options.level]) return;
    const all = { ...options.fields, ...fields };
    const time = new Date(options.clock.nowMs()).toISOString();
    options.write(
      options.form === 'json' ? jsonLine(time, level, event, all) : textLine(time, level, event, all),
    );
  };
  return {
    debug: (event, fields) => log('debug', event, fields),
    info: (event, fields) => log('info', event, fields),
    warn: (event, fields) => log('warn', event, fields),
    error: (event, fields) => log('error', event, fields),
    with: (fields) => createLogger({ ...options, fields: { ...options.fields, ...fields } }),
  };
};

/** Drops everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLogger,
};

const jsonLine = (time: string, level: LogLevel, event: string, fields: LogFields): string =>
  `${JSON.stringify({ time, level, event, ...fields })}\n`;

const textLine = (time: string, level: LogLevel, event: string, fields: LogFields): string => {
  let line = `${time} ${level.padEnd(5)} ${printable(event)}`;
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${name}=${textValue(value)}`;
  }
  return `${line}\n`;
};

const textValue = (value: string | number | boolean | null): string => {
  const text = String(value);
  return /^[^\s"=\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text);
};

/** A line stays one line, and a terminal's escape sequences stay text. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '�');
