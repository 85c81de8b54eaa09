/** Handshakes between two processes. Run: `scripts/node26 src/net/tls/tls.bench.ts`. */
import { fork } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { systemRandom as random } from '#base/clock';
import {
  createLocalAuthority,
  createServerTls,
  issueServerCertificate,
  newTicketKeys,
  readCertificate,
} from './index.ts';

const count = 2_000;
if (process.argv[2] === 'server') {
  const nowMs = Date.now();
  const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random });
  const pair = issueServerCertificate({ authority, names: ['localhost'], nowMs, random });
  const certificates = [readCertificate({ name: 'bench', ...pair }, nowMs)];
  const tls = createServerTls({ certificates, ticketKeys: newTicketKeys(random) });
  const server = createServer(tls.serverOptions(['imap']), (socket) => {
    socket.on('error', () => {});
    socket.end('y');
  });
  server.listen(0, '127.0.0.1', () =>
    process.send?.({ port: (server.address() as AddressInfo).port, ca: authority.cert }),
  );
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.on('disconnect', () => process.exit(0));
} else {
  const child = fork(import.meta.filename, ['server']);
  const reply = <T>(): Promise<T> =>
    new Promise((resolve) => child.once('message', (message) => resolve(message as T)));
  const { port, ca } = await reply<{ port: number; ca: string }>();
  const cpuMs = async (): Promise<number> => {
    child.send('cpu');
    const { user, system } = await reply<NodeJS.CpuUsage>();
    return (user + system) / 1000;
  };
  let ticket: Buffer | undefined;
  const once = (resume: boolean): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const session = resume && ticket !== undefined ? { session: ticket } : {};
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...session });
      socket.on('session', (fresh) => {
        ticket = fresh;
      });
      let reused = false;
      socket.on('secureConnect', () => {
        reused = socket.isSessionReused();
      });
      socket.on('error', reject);
      socket.resume();
      socket.on('close', () => resolve(reused));
    });
  for (const resume of [false, false, true]) {
    const [before, begin] = [await cpuMs(), performance.now()];
    let resumed = 0;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let at = 0; at < count / 16; at++) if (await once(resume)) resumed++;
      }),
    );
    const perSecond = Math.round(count / ((performance.now() - begin) / 1000));
    const cpu = (((await cpuMs()) - before) / count).toFixed(2);
    console.log(
      `${resume ? 'resumed' : 'full   '} ${perSecond}/s, ${cpu} ms server CPU each, ${resumed} resumed`,
    );
  }
  child.disconnect();
}
