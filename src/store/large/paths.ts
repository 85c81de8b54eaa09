import { largeFileName } from '#store/segments';

/** @param folder DATA */
export const largeFolder = (folder: string): string => `${folder}/large`;

/** @param folder DATA */
export const largePath = (folder: string, id: string): string =>
  `${largeFolder(folder)}/${largeFileName(id)}`;

/** @param folder DATA */
export const spoolFolder = (folder: string): string => `${folder}/spool`;

/** `<owner>-<32 hexadecimal digits>`: nothing else is ever taken from `spool/` */
export const isSpoolName = (name: string): boolean => /^[a-z]{1,16}-[0-9a-f]{32}$/.test(name);

export const spoolOwner = (name: string): string => name.slice(0, Math.max(0, name.indexOf('-')));
