import type { MailstoreChange, MailstoreWriter } from '#services/mailstore';
import type { AttemptReport } from '#services/trace';
import type { KeyRef } from '#store/index';
import { ResolveCache } from './resolve-cache.ts';
import { createStandingConnection, type StandingConnection } from './standing-connection.ts';
import { encodeMessageParams, encodeRecipients } from './wire.ts';

export interface MailstoreClient extends MailstoreWriter {
  /** hands over what was refused here */
  refused(report: AttemptReport): Promise<void>;
  close(): void;
}

/** The writer as another process sees it. */
export const createMailstoreClient = (options: {
  path: string;
  waitMs: number;
  /** whether this process wants to hear of changes */
  watches: boolean;
}): MailstoreClient => {
  const listeners = new Set<(change: MailstoreChange) => void>();
  const tell = (change: MailstoreChange): void => {
    for (const listener of listeners) listener(change);
  };
  const erasedListeners = new Set<(keys: readonly KeyRef[] | null) => void>();
  const tellErased = (keys: readonly KeyRef[] | null): void => {
    for (const listener of erasedListeners) listener(keys);
  };
  const addressListeners = new Set<() => void>();
  const resolved = new ResolveCache();
  const tellAddresses = (): void => {
    resolved.forget();
    for (const listener of addressListeners) listener();
  };
  const connection: StandingConnection = createStandingConnection({
    path: options.path,
    waitMs: options.waitMs,
    asksFirst: 'status',
    connected: async (client, again) => {
      // Without a connection nobody would tell what changes.
      client.onClose(tellAddresses);
      client.on('addresses', tellAddresses);
      if (!options.watches) return;
      client.on('changes', ((changes: readonly MailstoreChange[]) => changes.forEach(tell)) as never);
      client.on('erased', tellErased as never);
      await client.call('watch');
      if (again) tellErased(null);
      if (again) tellAddresses();
      if (again) tell({ account: '', mailbox: '', modSeq: 0, origin: '' });
    },
  });
  const call = async <Result>(
    method: string,
    params: unknown,
    attachments: readonly Uint8Array[] = [],
  ): Promise<Result> => (await connection.call<Result>(method, params, attachments)).result;

  return {
    resolve: (address) => resolved.resolve(address, () => call('resolve', { address })),
    keepMailOf: (request) => call('keepMailOf', request),
    deliver: (message, recipients, completeMs) => {
      const copies = encodeRecipients(recipients);
      const encoded = encodeMessageParams(message);
      return call('deliver', { message: encoded.params, recipients: copies.params, completeMs }, [
        ...copies.attachments,
        ...encoded.attachments,
      ]);
    },
    append: ({ message, ...request }) => {
      const encoded = encodeMessageParams(message);
      return call('append', { ...request, message: encoded.params }, encoded.attachments);
    },
    appendAll: ({ messages, ...request }) => {
      const attachments: Uint8Array[] = [];
      const encoded = messages.map(({ message, ...more }) => {
        const one = encodeMessageParams(message);
        attachments.push(...one.attachments);
        return { ...more, message: one.params, attachments: one.attachments.length };
      });
      return call('appendAll', { ...request, messages: encoded }, attachments);
    },
    createMailbox: (request) => call('createMailbox', request),
    deleteMailbox: (request) => call('deleteMailbox', request),
    renameMailbox: (request) => call('renameMailbox', request),
    subscribe: (request) => call('subscribe', request),
    changeFlags: (request) => call('changeFlags', request),
    expunge: (request) => call('expunge', request),
    copy: (request) => call('copy', request),
    markRecent: (request) => call('markRecent', request),
    status: () => call('status', null),
    damaged: (report) => call('damaged', report),
    refused: (report) => call('refused', report),
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onAddresses: (listener) => {
      addressListeners.add(listener);
      return () => void addressListeners.delete(listener);
    },
    onErased: (listener) => {
      erasedListeners.add(listener);
      return () => void erasedListeners.delete(listener);
    },
    close: () => connection.close(),
  };
};
