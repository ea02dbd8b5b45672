export { createLinuxHost, type LinuxHostOptions } from './linux-host.ts';
export type { LinuxHostRelease } from './release.ts';
export { unitText } from './systemd.ts';
