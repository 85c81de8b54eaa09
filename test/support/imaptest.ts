import fs from 'node:fs';
import path from 'node:path';
import { ImapTestClient } from './imap-client.ts';
import { type ImapValue, readImapValues } from './imap-script-values.ts';

/**
 * Runs the scripts of imaptest (https://github.com/dovecot/imaptest) against a server.
 *
 * The language is that of its documentation as far as the scripts use it: the three ways to write a command, variables,
 * `$n` for a message's number at the start of the command, `$!unordered` lists, `{{{` blocks.
 */

export interface ImapTestScript {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly connections: number;
  readonly state: 'nonauth' | 'auth' | 'created' | 'appended' | 'selected';
  readonly messageCount: number | null;
  readonly messages: readonly string[];
  readonly steps: readonly Step[];
}

interface Step {
  readonly line: number;
  readonly connection: number;
  /** `ok`, `no`, `bad` or `""` for any */
  readonly condition: string;
  readonly prefix: string;
  readonly command: string;
  readonly expected: readonly { readonly wanted: boolean; readonly text: string }[];
}

export const readImapTestScripts = (folder: string): ImapTestScript[] =>
  fs
    .readdirSync(folder)
    .filter((name) => !name.includes('.') && name !== 'COPYING')
    .sort()
    .map((name) => readScript(folder, name));

const readScript = (folder: string, name: string): ImapTestScript => {
  const lines = joinBlocks(fs.readFileSync(path.join(folder, name), 'utf8'));
  const header = new Map<string, string>();
  const isHeader = /^(capabilities|connections|messages|state|ignore_extra_untagged): *(.*)$/;
  let at = 0;
  for (; at < lines.length; at++) {
    const match = isHeader.exec(lines[at]?.text ?? '');
    if (match === null) break;
    header.set(match[1] ?? '', match[2]?.trim() ?? '');
  }
  const connections = Number(header.get('connections') ?? 1);
  const mbox = path.join(folder, `${name}.mbox`);
  const own = fs.existsSync(mbox) ? mbox : path.join(folder, 'default.mbox');
  const count = header.get('messages');
  return {
    name,
    capabilities: (header.get('capabilities') ?? '').split(' ').filter((word) => word !== ''),
    connections,
    state: (header.get('state') ?? 'selected') as ImapTestScript['state'],
    messageCount: count === undefined || count === 'all' ? null : Number(count),
    messages: readMbox(own),
    steps: readSteps(lines.slice(at), connections > 1),
  };
};

/** Lines with their numbers; a `{{{` block belongs to its line. */
const joinBlocks = (text: string): { line: number; text: string }[] => {
  const joined: { line: number; text: string }[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    let whole = lines[at] ?? '';
    if (!whole.startsWith('#') && whole.includes('{{{')) {
      while (!whole.includes('}}}') && at + 1 < lines.length) whole += `\n${lines[++at]}`;
    }
    if (!whole.startsWith('#')) joined.push({ line, text: whole });
  }
  return joined;
};

const readSteps = (lines: readonly { line: number; text: string }[], numbered: boolean): Step[] => {
  const steps: Step[] = [];
  const take = (text: string): { connection: number; rest: string } => {
    const match = numbered ? /^(\d+) +(.*)$/s.exec(text) : null;
    return match === null
      ? { connection: 1, rest: text }
      : { connection: Number(match[1]), rest: match[2] ?? '' };
  };
  const result = /^(ok|no|bad|"")(?: +(.*))?$/is;
  for (let at = 0; at < lines.length; ) {
    const current = lines[at];
    if (current === undefined || current.text.trim() === '') {
      at++;
      continue;
    }
    const { connection, rest } = take(current.text);
    const first = result.exec(rest);
    const expected: { wanted: boolean; text: string }[] = [];
    at++;
    const readExpected = (): void => {
      for (; /^[*!] /.test(lines[at]?.text ?? ''); at++) {
        const text = lines[at]?.text ?? '';
        expected.push({ wanted: text.startsWith('*'), text: text.slice(2) });
      }
    };
    readExpected();
    if (first !== null) {
      steps.push({
        line: current.line,
        connection,
        condition: (first[1] ?? '').toLowerCase(),
        prefix: '',
        command: first[2] ?? '',
        expected,
      });
      continue;
    }
    const last = result.exec(take(lines[at]?.text ?? '').rest);
    if (last === null) throw new Error(`line ${current.line}: no expected result`);
    at++;
    steps.push({
      line: current.line,
      connection,
      condition: (last[1] ?? '').toLowerCase(),
      prefix: last[2] ?? '',
      command: rest,
      expected,
    });
  }
  return steps;
};

/** The messages of an mbox file; the blank line before the next `From ` belongs to the message, as imaptest has it. */
const readMbox = (file: string): string[] =>
  fs
    .readFileSync(file, 'latin1')
    .split(/^From .*\n/m)
    .slice(1)
    .map((message) => message.replace(/\r?\n/g, '\r\n'));

export interface ImapTestServer {
  readonly port: number;
  readonly ca: string;
  readonly user: string;
  readonly password: string;
}

/** Runs one script. @returns what went wrong, one line each */
export const runImapTest = async (script: ImapTestScript, server: ImapTestServer): Promise<string[]> => {
  const run = new Run(script, server);
  try {
    return await run.all();
  } finally {
    run.close();
  }
};

interface Reply {
  readonly text: string;
  readonly values: readonly ImapValue[];
  /** by number now, minus 1: the number at the start of the command */
  readonly numbers: readonly number[];
}

class Run {
  readonly #script: ImapTestScript;
  readonly #server: ImapTestServer;
  readonly #clients: ImapTestClient[] = [];
  readonly #variables = new Map<string, string>();
  readonly #faults: string[] = [];
  #tags = 0;
  #nextMessage = 0;

  constructor(script: ImapTestScript, server: ImapTestServer) {
    this.#script = script;
    this.#server = server;
    this.#variables.set('mailbox', 'imaptest');
    this.#variables.set('user', server.user);
    this.#variables.set('password', server.password);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async all(): Promise<string[]> {
    const { state, connections, steps } = this.#script;
    const { port, ca, user, password } = this.#server;
    for (let count = 0; count < connections; count++) {
      const client = await ImapTestClient.connect({ port, secure: true, ca });
      await client.reply();
      this.#clients.push(client);
      if (state !== 'nonauth') await this.#plain(client, `LOGIN "${user}" "${password}"`);
    }
    const [first] = this.#clients;
    if (first !== undefined && state !== 'nonauth') {
      const listed = await this.#plain(first, 'LIST "" imaptest*');
      const names = listed.map((reply) => /"([^"]*)"$/.exec(reply)?.[1] ?? '').filter((name) => name !== '');
      for (const name of names.reverse()) await this.#plain(first, `DELETE "${name}"`);
      if (state !== 'auth') await this.#plain(first, 'CREATE imaptest');
      if (state === 'appended' || state === 'selected') {
        const count = this.#script.messageCount ?? this.#script.messages.length;
        for (let index = 0; index < count; index++) await this.#plain(first, this.#append('append'));
      }
      if (state === 'selected')
        for (const client of this.#clients) await this.#plain(client, 'SELECT imaptest');
    }
    for (const step of steps) await this.#step(step);
    return this.#faults;
  }

  async #plain(client: ImapTestClient, command: string): Promise<string[]> {
    return client.command(`p${++this.#tags}`, command);
  }

  /** `append [mailbox] [flags]` with the next message of the mbox behind it. */
  #append(command: string): string {
    const match = /^append(?: +([^ (]+))?(.*)$/i.exec(command);
    const messages = this.#script.messages;
    const message = messages[this.#nextMessage++ % messages.length] ?? '';
    return `APPEND ${match?.[1] ?? 'imaptest'}${match?.[2] ?? ''} {${message.length}+}\r\n${message}`;
  }

  async #step(step: Step): Promise<void> {
    const client = this.#clients[step.connection - 1];
    if (client === undefined) throw new Error(`line ${step.line}: no such connection`);
    let command = this.#substitute(step.command).replace(
      /\{\{\{\n(.*?)\n?\}\}\}/gs,
      (_all, block: string) => {
        const octets = Buffer.from(block.replace(/\n/g, '\r\n'), 'utf8').toString('latin1');
        return `{${octets.length}+}\r\n${octets}`;
      },
    );
    if (/^append\b/i.test(command) && !command.includes('{')) command = this.#append(command);
    const tag = `t${++this.#tags}`;
    this.#variables.set('tag', tag);
    const all = await client.command(tag, command);
    const tagged = all.find((reply) => reply.startsWith(`${tag} `)) ?? '(closed)';
    const fault = (what: string): void => {
      const got = all.map((reply) => JSON.stringify(reply.slice(0, 300))).join('\n      ');
      this.#faults.push(`${this.#script.name}:${step.line} ${step.command}: ${what}\n      ${got}`);
    };
    const [, condition = '', rest = ''] = /^\S+ (\S+) ?(.*)$/s.exec(tagged) ?? [];
    if (step.condition !== '""' && condition.toLowerCase() !== step.condition) {
      fault(`expected ${step.condition}`);
      return;
    }
    if (
      step.prefix !== '' &&
      !this.#matchesStatus(readImapValues(step.prefix, true), readImapValues(rest), [])
    ) {
      fault(`expected ${step.prefix}`);
    }
    const numbers = Array.from({ length: 1000 }, (_none, index) => index + 1);
    const replies = all
      .filter((reply) => reply.startsWith('* '))
      .map((reply): Reply => {
        const values = readImapValues(reply.slice(2));
        const before = [...numbers];
        const number = wordOf(values[0]);
        if (wordOf(values[1]).toLowerCase() === 'expunge') numbers.splice(Number(number) - 1, 1);
        return { text: reply, values, numbers: before };
      });
    for (const { wanted, text } of step.expected) {
      const values = readImapValues(text.trim(), true);
      const found = replies.some((reply) => this.#matchesReply(values, reply));
      if (found !== wanted) fault(`${wanted ? 'no' : 'there is a'} reply like: ${text}`);
    }
  }

  #substitute(text: string): string {
    return text.replace(/\$\$|\$\{(\w+)\}|\$(\w+)/g, (whole, braced?: string, plain?: string) => {
      if (whole === '$$') return '$';
      return this.#variables.get(braced ?? plain ?? '') ?? whole;
    });
  }

  #matchesReply(expected: readonly ImapValue[], reply: Reply): boolean {
    const bound = new Map(this.#variables);
    const isStatus = /^(ok|no|bad|bye|preauth)$/i.test(wordOf(expected[0]));
    const matched = isStatus
      ? this.#matchesStatus(expected, reply.values, reply.numbers)
      : this.#matchesTop(expected, reply);
    if (matched) return true;
    this.#variables.clear();
    for (const [name, value] of bound) this.#variables.set(name, value);
    return false;
  }

  /** What follows the expected words is free text. */
  #matchesStatus(
    expected: readonly ImapValue[],
    actual: readonly ImapValue[],
    numbers: readonly number[],
  ): boolean {
    return expected.every((value, index) => this.#matches(value, actual[index], numbers, 'ordered'));
  }

  #matchesTop(expected: readonly ImapValue[], { values, numbers }: Reply): boolean {
    if (expected.length !== values.length) return false;
    const name = /^\$?\d+$/.test(wordOf(expected[0])) ? wordOf(expected[1]) : wordOf(expected[0]);
    return expected.every((value, index) => {
      const form: Form =
        name.toLowerCase() === 'fetch' && index === 2
          ? 'fetch'
          : /^(list|lsub)$/i.test(name) && index === 1
            ? 'unordered'
            : /^status$/i.test(name) && index === 2
              ? 'pairs'
              : 'ordered';
      return this.#matches(value, values[index], numbers, form);
    });
  }

  #matches(
    expected: ImapValue,
    actual: ImapValue | undefined,
    numbers: readonly number[],
    form: Form,
  ): boolean {
    if (actual === undefined) return false;
    if (expected.kind === 'word' && expected.text === '$') return true;
    if (expected.kind === 'list') {
      return actual.kind === 'list' && this.#matchesList(expected.items, actual.items, numbers, form);
    }
    if (actual.kind === 'list') return false;
    if (expected.kind === 'string') {
      return this.#matchesText(expected.text, actual.text);
    }
    const number = /^\$(\d+)$/.exec(expected.text);
    if (number !== null) return numbers[Number(actual.text) - 1] === Number(number[1]);
    return this.#matchesText(expected.text, actual.text);
  }

  /** Letters compare without case; a variable without a value takes what stands there. */
  #matchesText(expected: string, actual: string): boolean {
    const names: string[] = [];
    const pattern = expected.replace(
      /\$\$|\$\{(\w+)\}|\$(\w+)|[^$]+/g,
      (piece: string, braced?: string, plain?: string) => {
        if (piece === '$$') return '\\$';
        if (!piece.startsWith('$')) return escaped(piece);
        const name = braced ?? plain ?? '';
        const value = this.#variables.get(name);
        if (value !== undefined) return escaped(value);
        names.push(name);
        return '(.*?)';
      },
    );
    const match = new RegExp(`^${pattern}$`, 'is').exec(actual);
    if (match === null) return false;
    for (const [index, name] of names.entries()) this.#variables.set(name, match[index + 1] ?? '');
    return true;
  }

  #matchesList(
    expected: readonly ImapValue[],
    actual: readonly ImapValue[],
    numbers: readonly number[],
    form: Form,
  ): boolean {
    if (wordOf(expected[0]) === '$!unordered') {
      return expected
        .slice(1)
        .every((value) => actual.some((each) => this.#matches(value, each, numbers, 'ordered')));
    }
    if (form === 'ordered') {
      return (
        expected.length === actual.length &&
        expected.every((value, index) => this.#matches(value, actual[index], numbers, 'ordered'))
      );
    }
    if (form === 'flags') {
      const rest = actual.filter((each) => wordOf(each).toLowerCase() !== '\\recent');
      const wanted = expected.filter((each) => wordOf(each).toLowerCase() !== '\\recent');
      return (
        wanted.length === rest.length &&
        wanted.every((value) => rest.some((each) => this.#matches(value, each, numbers, 'ordered')))
      );
    }
    if (form === 'unordered') {
      return expected.every((value) => actual.some((each) => this.#matches(value, each, numbers, 'ordered')));
    }
    for (let at = 0; at < expected.length; at += 2) {
      const name = expected[at];
      const value = expected[at + 1];
      if (name === undefined || value === undefined) return false;
      let found = false;
      for (let other = 0; other + 1 < actual.length; other += 2) {
        const inner: Form = wordOf(name).toLowerCase() === 'flags' ? 'flags' : 'ordered';
        if (
          this.#matches(name, actual[other], numbers, 'ordered') &&
          this.#matches(value, actual[other + 1], numbers, inner)
        ) {
          found = true;
          break;
        }
      }
      if (!found) return false;
    }
    return true;
  }
}

type Form = 'ordered' | 'unordered' | 'pairs' | 'fetch' | 'flags';

const wordOf = (value: ImapValue | undefined): string => (value?.kind === 'word' ? value.text : '');

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
