/**
 * The one gate to message octets (DESIGN §7): an owner reads here; whoever is not the owner will come through here too, with a reason, a
 * scope and a ledger leaf for each message.
 *
 * Always holds: what leaves is `prefix ‖ original`, every octet verified before it leaves.
 */
export { type AccessGate, openAccessGate, type ReadAhead, type StoredMessage } from './access.ts';
