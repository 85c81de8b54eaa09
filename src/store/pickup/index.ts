/**
 * `DATA/pickup/`: mail that local programs handed in while no server took it, and that waits for one.
 *
 * Always holds: what `add` resolved for is on disk, whole; a file that is not whole is never taken for mail; nothing is removed but by
 * `remove`, and its number and octets are bounded (`pickupLimits`).
 */
export {
  createPickup,
  type HeldFor,
  type Pickup,
  type PickupContent,
  type PickupEntry,
  type PickupEnvelope,
  pickupFolder,
  pickupLimits,
} from './pickup.ts';
