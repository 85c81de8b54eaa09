import { startDnsServer } from '../../test/support/dns-server.ts';
import type { Zone } from '../../test/support/dns-zone.ts';

// DNS for bench/smtp.ts, in a process of its own: told a zone over the channel to its parent, it answers with its address. Port 53, where
// programs ask that know of no other, of an address on loopback that nobody else uses.

const attemptsMax = 50;

process.once('message', async (zone: Zone) => {
  for (let last = 1; last <= attemptsMax; last++) {
    const address = `127.53.0.${last}`;
    try {
      await startDnsServer({ zone, address, wantedPort: 53 });
      process.send?.({ address });
      return;
    } catch (error) {
      if (last === attemptsMax) process.send?.({ error: String(error) });
    }
  }
});
process.on('disconnect', () => process.exit(0));
