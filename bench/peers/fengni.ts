import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { services } from '../../src/app/config/services.ts';
import { firstField } from '../support/load-message.ts';
import { type Peer, type ReadBack, until } from './peer.ts';

const root = path.resolve(import.meta.dirname, '../..');
const stopMsMax = 30_000;

/**
 * `fengni serve` with its defaults in a folder of its own, on free loopback ports.
 *
 * @param profile roles whose CPU profiles are written into `folder`/profiles when it stops
 * @param resolver who is asked about senders; null: only what needs no DNS is checked of a peer on loopback
 */
export const startFengni = async (
  folder: string,
  profile: readonly string[],
  resolver: string | null = null,
): Promise<Peer> => {
  const data = path.join(folder, 'data');
  const config = path.join(folder, 'fengni.toml');
  const profiles = path.join(folder, 'profiles');
  fs.mkdirSync(profiles, { recursive: true });
  const listen = Object.entries(services).flatMap(([name, { isBuilt }]) =>
    isBuilt ? [`[listen.${name}]\nport = 0\n`] : [],
  );
  listen.push('[listen.smtp-tls]\nservice = "smtp"\ntls = "implicit"\nport = 0\n');
  // The load comes from a relay: the others in the same run check no senders either.
  listen.push('[authentication]\nexempt = ["127.0.0.0/8"]\n');
  if (resolver !== null)
    listen.push(`[dns]\nresolvers = ["${resolver}"]\n[smtp]\nxclient_from = ["127.0.0.0/8"]\n`);
  fs.writeFileSync(config, listen.join(''));
  const log = fs.openSync(path.join(folder, 'log'), 'w');
  const hook = profile.length === 0 ? [] : ['--import', path.join(root, 'bench/support/profile-roles.mjs')];
  const child = spawn(
    process.execPath,
    [...hook, path.join(root, 'src/app/main.ts'), 'serve', '--config', config, '--data', data],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        LANG: 'C.UTF-8',
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
        BENCH_PROFILE: profile.join(','),
        BENCH_PROFILE_FOLDER: profiles,
      },
      stdio: ['ignore', 'pipe', log],
    },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await ready(child, exited, path.join(folder, 'log'));
  const ports = JSON.parse(fs.readFileSync(path.join(data, 'run/ports.json'), 'utf8'));
  const password = /^password: (.*)$/m.exec(fs.readFileSync(path.join(data, 'first-login.txt'), 'utf8'))?.[1];
  let lastUid = 0;
  return {
    name: 'Fengni',
    about: about(),
    address: () => 'admin@fengni.test',
    port: (mode) => (mode === 'implicit' ? ports['smtp-tls'] : ports.smtp),
    ...(resolver === null ? {} : { checkedPort: ports.smtp }),
    // Whoever asks sees a message from its 250 on.
    delivered: async () => performance.timeOrigin + performance.now(),
    readBack: async () => {
      const read = await readMailbox({
        port: ports.imaps,
        ca: fs.readFileSync(path.join(data, 'tls/ca.pem'), 'utf8'),
        user: 'admin@fengni.test',
        password: password ?? '',
        afterUid: lastUid,
      });
      lastUid = Math.max(lastUid, read.lastUid);
      return read.messages;
    },
    pids: [child.pid ?? 0],
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
      await exited;
      clearTimeout(timer);
      fs.closeSync(log);
    },
  };
};

const ready = async (child: ChildProcess, exited: Promise<void>, log: string): Promise<void> => {
  let said = '';
  let ended = false;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  void exited.then(() => {
    ended = true;
  });
  await until('Fengni is ready', () => {
    if (ended) throw new Error(`Fengni ended:\n${fs.readFileSync(log, 'utf8')}`);
    return /^ready$/m.test(said) ? true : null;
  });
};

const about = (): string => {
  let commit = 'unknown';
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
    commit = git('rev-parse', '--short', 'HEAD');
    if (git('status', '--porcelain', '--', 'src') !== '') commit += ' with changes that are not committed';
  } catch {
    // A copy without its history.
  }
  return `commit ${commit}, Node ${process.version}, defaults, senders not checked: every body encrypted, hashed and entered into the ledger, ENVELOPE and BODYSTRUCTURE made, one mailbox for all rounds, a line of log for each message`;
};

/** Everything of INBOX behind a UID, as hashes of the originals. */
const readMailbox = (options: {
  port: number;
  ca: string;
  user: string;
  password: string;
  afterUid: number;
}): Promise<{ messages: ReadBack[]; lastUid: number }> =>
  new Promise((resolve, reject) => {
    const { port, ca, user, password, afterUid } = options;
    const socket = tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost' });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the IMAP connection was closed')));
    socket.write(
      `a LOGIN ${user} "${password}"\r\nb EXAMINE INBOX\r\nc UID FETCH ${afterUid + 1}:* (UID BODY.PEEK[])\r\n`,
    );
    const messages: ReadBack[] = [];
    let lastUid = afterUid;
    let held: Buffer[] = [];
    let heldBytes = 0;
    let wanted = 0;
    socket.on('data', (piece: Buffer) => {
      held.push(piece);
      heldBytes += piece.length;
      if (heldBytes < wanted) return;
      wanted = 0;
      const all = Buffer.concat(held);
      let at = 0;
      for (;;) {
        const end = all.indexOf('\r\n', at);
        if (end === -1) break;
        const line = all.toString('latin1', at, end);
        const literal = /\{(\d+)\}$/.exec(line);
        if (literal !== null) {
          const length = Number(literal[1]);
          if (end + 2 + length > all.length) {
            wanted = end + 2 + length - at;
            break;
          }
          const uid = Number(/UID (\d+)/.exec(line)?.[1]);
          // `n:*` gives the last message also when it is before n.
          if (uid > afterUid) {
            messages.push(readBack(all.subarray(end + 2, end + 2 + length)));
            lastUid = Math.max(lastUid, uid);
          }
          at = end + 2 + length;
          continue;
        }
        at = end + 2;
        if (/^[abc] (NO|BAD)|^\* BYE/.test(line)) {
          reject(new Error(`IMAP: ${line}`));
          socket.destroy();
          return;
        }
        if (!line.startsWith('c OK')) continue;
        resolve({ messages, lastUid });
        socket.destroy();
        return;
      }
      held = [all.subarray(at)];
      heldBytes = all.length - at;
    });
  });

/** The original is what stands from the load's first field on. */
const readBack = (message: Buffer): ReadBack => {
  const start = message.indexOf(`\r\n${firstField}`);
  return start === -1
    ? { sha256: 'not a message of the load', trace: '' }
    : { sha256: hash('sha256', message.subarray(start + 2)), trace: message.toString('latin1', 0, start) };
};
