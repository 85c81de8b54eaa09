/** Lets others go on between the rounds of a hash that runs in this thread. */
export const yielding = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
