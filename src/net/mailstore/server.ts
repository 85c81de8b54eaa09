import type { IpcHandler, IpcPeer } from '#net/ipc';
import type { AddedMessage, MailstoreChange, MailstoreWriter } from '#services/mailstore';
import { decodeMessageParams, decodeRecipients, type MessageParams, type RecipientParams } from './wire.ts';

type Request<Method extends keyof MailstoreWriter> = Parameters<MailstoreWriter[Method]>[0];

/**
 * The methods by which other roles reach the writer.
 *
 * @returns `methods` for `serveIpc`, and `forget` for a peer that is gone
 */
export const mailstoreMethods = (
  writer: MailstoreWriter,
): { methods: Record<string, IpcHandler>; forget(peer: IpcPeer): void } => {
  const watchers = new Set<IpcPeer>();
  let pending: MailstoreChange[] = [];
  writer.onChange((change) => {
    if (watchers.size === 0) return;
    const last = pending.at(-1);
    const isMore = last?.mailbox === change.mailbox && last.origin === '' && change.origin === '';
    // A group with much mail for one mailbox is one change of it.
    if (isMore) pending[pending.length - 1] = change;
    else pending.push(change);
    // What a group changed goes out as one notice.
    if (pending.length === 1 && !isMore) {
      queueMicrotask(() => {
        const changes = pending;
        pending = [];
        for (const peer of watchers) peer.notify('changes', changes);
      });
    }
  });
  writer.onErased((keys) => {
    for (const peer of watchers) peer.notify('erased', keys);
  });
  const askers = new Set<IpcPeer>();
  writer.onAddresses(() => {
    for (const peer of new Set([...askers, ...watchers])) peer.notify('addresses');
  });
  const simple =
    <Method extends keyof MailstoreWriter>(method: Method): IpcHandler =>
    async (params: never) => ({
      result: await (writer[method] as (request: Request<Method>) => Promise<unknown>)(
        params as Request<Method>,
      ),
    });

  const methods: Record<string, IpcHandler> = {
    watch: (_params, _attachments, peer) => {
      watchers.add(peer);
    },
    resolve: async ({ address }: { address: string }, _attachments, peer) => {
      askers.add(peer);
      return { result: await writer.resolve(address) };
    },
    keepMailOf: simple('keepMailOf'),
    deliver: deliverMethod(writer.deliver),
    append: async ({ message, ...request }: Request<'append'> & { message: MessageParams }, attachments) => ({
      result: await writer.append({ ...request, message: decodeMessageParams(message, attachments) }),
    }),
    appendAll: async (
      {
        messages,
        ...request
      }: Omit<Request<'appendAll'>, 'messages'> & {
        messages: readonly (Omit<AddedMessage, 'message'> & {
          message: MessageParams;
          attachments: number;
        })[];
      },
      attachments,
    ) => {
      let at = 0;
      const decoded = messages.map(({ message, attachments: count, ...more }) => {
        at += count;
        return { ...more, message: decodeMessageParams(message, attachments.slice(at - count, at)) };
      });
      return { result: await writer.appendAll({ ...request, messages: decoded }) };
    },
    createMailbox: simple('createMailbox'),
    deleteMailbox: simple('deleteMailbox'),
    renameMailbox: simple('renameMailbox'),
    subscribe: simple('subscribe'),
    changeFlags: simple('changeFlags'),
    expunge: simple('expunge'),
    copy: simple('copy'),
    markRecent: simple('markRecent'),
    status: async () => ({ result: await writer.status() }),
    damaged: simple('damaged'),
  };
  return {
    methods,
    forget: (peer) => {
      watchers.delete(peer);
      askers.delete(peer);
    },
  };
};

/** `deliver` as another process calls it. */
export const deliverMethod =
  (deliver: MailstoreWriter['deliver']): IpcHandler =>
  async (
    {
      message,
      recipients,
      completeMs,
    }: { message: MessageParams; recipients: RecipientParams[]; completeMs?: number },
    attachments: Uint8Array[],
  ) => ({
    result: await deliver(
      decodeMessageParams(message, attachments.slice(2 * recipients.length)),
      decodeRecipients(recipients, attachments),
      completeMs,
    ),
  });
