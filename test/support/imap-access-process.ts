import net from 'node:net';
import path from 'node:path';
import { systemClock, systemRandom } from '#base/clock';
import { silentLogger } from '#base/logger';
import { createMailstoreClient } from '#net/mailstore';
import { ImapServer, ImapSession } from '#protocols/imap';
import { openAccessGate } from '#services/access';
import { createImapLogin } from '#services/mailboxes';
import { nodeIo } from '#store/durable';
import { openSpool } from '#store/large';
import { openSqliteIndex } from '#store/sqlite';

/**
 * An access process of a test: IMAP on a Unix socket, whoever knows an account's id and `secret` comes in. Ends with its parent.
 *
 * Arguments: the data folder, the writer's socket, the socket to listen on.
 */
const [folder = '', writerSocket = '', ownSocket = ''] = process.argv.slice(2);

const writer = createMailstoreClient({ path: writerSocket, waitMs: 10_000, watches: true });
await writer.status();
const login = createImapLogin({
  login: {
    verify: async ({ user, password }) =>
      password === 'secret' ? { kind: 'granted', account: user, key: user } : { kind: 'wrong' },
  },
  index: openSqliteIndex(path.join(folder, 'index.db'), { readOnly: true }),
  gate: openAccessGate({ io: nodeIo, folder, shard: 0, damaged: () => {} }),
  writer,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  large: { spool: openSpool({ io: nodeIo, folder, owner: 'access' }) },
});
const imap = new ImapServer({
  login,
  log: { ...silentLogger, error: (event, fields) => console.error(event, fields) },
  count: () => {},
  move: true,
});

net
  .createServer((socket) => {
    const session = new ImapSession(imap, {
      secure: true,
      canStartTls: false,
      facts: { peer: { address: '192.0.2.1', port: 1 }, tls: null },
      write: (octets) => (typeof octets === 'string' ? socket.write(octets, 'latin1') : socket.write(octets)),
      startTls: () => {},
      loggedIn: () => {},
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
    });
    socket.on('data', (octets: Buffer) => session.receive(octets));
    socket.on('drain', () => session.drained());
    socket.on('close', () => session.closed());
    socket.on('error', () => {});
    session.greet();
  })
  .listen(ownSocket, () => process.stdout.write('ready\n'));

process.stdin.on('end', () => process.exit()).resume();
