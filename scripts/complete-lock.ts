// npm run lock   after a change of dependencies
//
// npm leaves optional packages of other platforms out of the lock where the registry in use lacks them, and `npm ci` then refuses
// the lock everywhere. This adds them with version, os and cpu; npm fetches them only on the platform that they are for.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optionalDependencies?: Record<string, string>;
}

const file = join(import.meta.dirname, '..', 'package-lock.json');
const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const processors = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x'];

const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, LockedPackage> };
let added = 0;
for (const [path, { dev, optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const at = `node_modules/${name}`;
    if (path === '' || lock.packages[at] !== undefined || !/^\d+\.\d+\.\d+$/.test(version)) continue;
    const words = name.replace(/^.*\//, '').split('-');
    const os = systems.find((system) => words.includes(system));
    const cpu = processors.find((processor) => words.includes(processor));
    if (os === undefined || cpu === undefined) throw new Error(`Which platform is ${name} for?`);
    Object.assign(lock.packages, {
      [at]: { version, cpu: [cpu], ...(dev === true ? { dev } : {}), optional: true, os: [os] },
    });
    added += 1;
  }
}
const sorted = Object.entries(lock.packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
console.log(`${added} packages added to package-lock.json`);
