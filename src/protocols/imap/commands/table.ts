import { append } from './append.ts';
import { authenticate } from './authenticate.ts';
import { capability } from './capability.ts';
import { check } from './check.ts';
import { close, unselect } from './close.ts';
import type { Command } from './command.ts';
import { copy, move } from './copy.ts';
import { create } from './create.ts';
import { deleteMailbox } from './delete.ts';
import { enable } from './enable.ts';
import { expunge } from './expunge.ts';
import { fetch } from './fetch.ts';
import { id } from './id.ts';
import { idle } from './idle.ts';
import { list, lsub } from './list.ts';
import { login } from './login.ts';
import { logout } from './logout.ts';
import { namespace } from './namespace.ts';
import { noop } from './noop.ts';
import { rename } from './rename.ts';
import { search } from './search.ts';
import { examine, select } from './select.ts';
import { startTls } from './starttls.ts';
import { status } from './status.ts';
import { store } from './store.ts';
import { subscribe, unsubscribe } from './subscribe.ts';

const table = new Map<string, Command>(
  [
    append,
    authenticate,
    capability,
    check,
    close,
    copy,
    create,
    deleteMailbox,
    enable,
    examine,
    expunge,
    fetch,
    id,
    idle,
    list,
    login,
    logout,
    lsub,
    move,
    namespace,
    noop,
    rename,
    search,
    select,
    startTls,
    status,
    store,
    subscribe,
    unselect,
    unsubscribe,
  ].map((command) => [command.name, command]),
);

/** Commands of extensions that exist but are not announced: a client that asks all the same gets a reason. */
const later = new Set([
  'CANCELUPDATE',
  'COMPRESS',
  'CONVERT',
  'DELETEACL',
  'ESEARCH',
  'GENURLAUTH',
  'GETACL',
  'GETANNOTATION',
  'GETJMAPACCESS',
  'GETMETADATA',
  'GETQUOTA',
  'GETQUOTAROOT',
  'LISTRIGHTS',
  'MYRIGHTS',
  'NOTIFY',
  'REPLACE',
  'RESETKEY',
  'SETACL',
  'SETANNOTATION',
  'SETMETADATA',
  'SETQUOTA',
  'SORT',
  'THREAD',
  'UNAUTHENTICATE',
  'URLFETCH',
  'XLIST',
]);

/** The command of a name in capitals, `later` for one that is known and not supported, or null. */
export const findCommand = (name: string): Command | 'later' | null =>
  table.get(name) ?? (later.has(name) ? 'later' : null);
