import { ok } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';

/** What is not known is passed over; what is on already is not told again. @source RFC 9051 §6.3.1, RFC 5161 */
export const enable: Command = {
  name: 'ENABLE',
  states: loggedIn,
  tells: 'all',
  run: (session, args) => {
    const asked: string[] = [];
    do {
      args.space();
      asked.push(args.word());
    } while (!args.atEnd);
    const { features } = session;
    const enabled: string[] = [];
    const before = { ...features };
    for (const name of asked) {
      if (enabled.includes(name)) continue;
      switch (name) {
        case 'CONDSTORE':
          features.condstore = true;
          if (!before.condstore) enabled.push(name);
          break;
        case 'QRESYNC':
          // RFC 7162 §3.2.3: it brings CONDSTORE with it
          features.condstore = true;
          features.qresync = true;
          if (!before.qresync) enabled.push(name);
          break;
        case 'UTF8=ACCEPT':
          features.utf8 = true;
          if (!before.utf8) enabled.push(name);
          break;
        case 'IMAP4REV2':
          features.rev2 = true;
          if (!before.rev2) enabled.push('IMAP4rev2');
          break;
      }
    }
    session.send(`* ENABLED${enabled.map((name) => ` ${name}`).join('')}\r\n`);
    return ok('Enabled');
  },
};
