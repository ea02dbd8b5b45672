// Kills a process at one exact point of its work, to prove that what it leaves behind can be resumed. Preloaded, it
// watches every mutation the process makes at the level of Node's built-ins, so that a built bundle runs unmodified:
//
//   CRASH_LOG=points.jsonl node --import ./test/support/crash.mjs dist/index.js      how many mutations, and which
//   CRASH_AT=3 CRASH_WHEN=before node --import ./test/support/crash.mjs dist/index.js
//
//   CRASH_LOG     file that gets one JSON line a mutation, before it starts: {"n":3,"kind":"fs.rename","target":"a -> b"}
//   CRASH_AT      SIGKILL to this process at the n-th mutation, counted from 1 in the order in which they start
//   CRASH_WHEN    before (default): it has not started. after: it has completed, whether well or not: the call
//                 returned, the promise or callback is about to tell, the child runs, the response's headers are here
//   CRASH_IGNORE  files and folders, separated by commas, in which mutations are not counted
//
// Without CRASH_AT and CRASH_LOG nothing is touched. The variables are removed from the environment, so that children
// run unwatched. Mutations: writers of node:fs (callback, sync, promise, FileHandle, streams), signals, child
// processes, and HTTP requests other than GET, HEAD, OPTIONS and CONNECT, by node:http, node:https (Unix sockets too),
// fetch and undici. Not seen: node:http2, bytes written to bare sockets, worker threads, native add-ons, and standard
// output and error. A recursive mkdir, or an open with O_CREAT of what exists, counts though it may change nothing.

import { AsyncLocalStorage } from 'node:async_hooks';
import childProcess from 'node:child_process';
import diagnosticsChannel from 'node:diagnostics_channel';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const { CRASH_AT, CRASH_WHEN = 'before', CRASH_LOG, CRASH_IGNORE = '' } = process.env;
for (const name of ['CRASH_AT', 'CRASH_WHEN', 'CRASH_LOG', 'CRASH_IGNORE']) delete process.env[name];

if (CRASH_AT !== undefined && !/^[1-9]\d*$/.test(CRASH_AT))
  throw new Error(`CRASH_AT=${CRASH_AT} is no number from 1`);
if (CRASH_WHEN !== 'before' && CRASH_WHEN !== 'after')
  throw new Error(`CRASH_WHEN=${CRASH_WHEN} is not before or after`);

const crashAt = Number(CRASH_AT ?? 0);
const ignored = CRASH_IGNORE.split(',')
  .filter(Boolean)
  .map((entry) => path.resolve(entry));
const realKill = process.kill.bind(process);
const realWriteSync = fs.writeSync;
const log = CRASH_LOG === undefined ? undefined : fs.openSync(CRASH_LOG, 'a');

let count = 0;

/** Counts a mutation that is about to start, and dies if it is the one. Returns what to call when it has completed. */
function mutation(kind, target) {
  count += 1;
  const n = count;
  if (log !== undefined) realWriteSync(log, `${JSON.stringify({ n, kind, target })}\n`);
  if (n === crashAt && CRASH_WHEN === 'before') die();
  return () => {
    if (n === crashAt && CRASH_WHEN === 'after') die();
  };
}

function die() {
  realKill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // no further step, however late the signal
}

// Node's functions call each other (appendFile writes by writeFile, which opens by open): what runs on behalf of a
// counted call is not counted again. Synchronous parts are known by `depth`, what follows later by the async context.
let depth = 0;
const onBehalf = new AsyncLocalStorage();
const nested = () => depth > 0 || onBehalf.getStore() === true;

function synchronously(call) {
  depth += 1;
  try {
    return call();
  } finally {
    depth -= 1;
  }
}

/** Puts `wrapper` in the place of `holder[name]`, with everything that is on the original, such as promisify.custom. */
function replace(holder, name, wrap) {
  const original = holder[name];
  if (typeof original !== 'function') return; // not in this version of Node
  const wrapper = wrap(original);
  const { prototype: _, ...descriptors } = Object.getOwnPropertyDescriptors(original);
  for (const key of Reflect.ownKeys(descriptors)) {
    Object.defineProperty(wrapper, key, { ...descriptors[key], configurable: true });
  }
  Object.defineProperty(holder, name, { ...Object.getOwnPropertyDescriptor(holder, name), value: wrapper });
}

// --- Files -----------------------------------------------------------------------------------------------------------

const pathOfFd = new Map();
const pathOfHandle = new WeakMap();

function pathOf(file) {
  if (typeof file === 'number') return pathOfFd.get(file) ?? `fd ${file}`;
  if (typeof file === 'string' || Buffer.isBuffer(file)) return path.resolve(String(file));
  if (file instanceof URL) return fileURLToPath(file);
  return pathOfHandle.get(file) ?? 'unknown file';
}

const isIgnored = (file) => ignored.some((entry) => file === entry || file.startsWith(`${entry}${path.sep}`));
const isStandardStream = (file) => typeof file === 'number' && file <= 2;

/** The paths that a call of each function changes, from its arguments (a FileHandle's methods get the handle first). */
const first = ([file]) => [file];
const second = ([, file]) => [file];
const both = ([from, to]) => [from, to];
const opened = ([file, flags]) => (writes(flags) ? [file] : []);

function writes(flags) {
  if (typeof flags === 'string') return /[wa+]/.test(flags);
  const { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
  return typeof flags === 'number' && (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)) !== 0;
}

const FILE_MUTATIONS = [
  [
    first,
    ['writeFile', 'appendFile', 'mkdir', 'mkdtemp', 'mkdtempDisposable', 'rm', 'rmdir', 'unlink', 'truncate'],
  ],
  [first, ['utimes', 'lutimes', 'chmod', 'lchmod', 'chown', 'lchown']],
  [first, ['write', 'writev', 'ftruncate', 'fsync', 'fdatasync', 'fchmod', 'fchown', 'futimes']], // of a descriptor
  [second, ['link', 'symlink', 'copyFile', 'cp']],
  [both, ['rename']],
  [opened, ['open']],
];
const HANDLE_MUTATIONS = ['write', 'writev', 'writeFile', 'appendFile', 'truncate', 'sync', 'datasync'];
HANDLE_MUTATIONS.push('chmod', 'chown', 'utimes');

/** Counts the call if it changes a file that counts. Returns what to call at its completion, or undefined. */
function fileMutation(kind, changes, args) {
  if (nested()) return undefined;
  const changed = changes(args);
  if (changed.length === 0 || changed.some(isStandardStream)) return undefined;
  if (changed.every((file) => isIgnored(pathOf(file)))) return undefined;
  const [from, to] = args;
  return mutation(
    kind,
    changes === first || changes === opened ? pathOf(from) : `${pathOf(from)} -> ${pathOf(to)}`,
  );
}

const sync = (kind, changes) => (original) =>
  function (...args) {
    const completed = fileMutation(kind, changes, args);
    if (completed === undefined) return original.apply(this, args);
    try {
      return synchronously(() => original.apply(this, args));
    } finally {
      completed();
    }
  };

const callback = (kind, changes) => (original) =>
  function (...args) {
    const tell = args.at(-1);
    const completed = typeof tell === 'function' ? fileMutation(kind, changes, args) : undefined;
    if (completed === undefined) return original.apply(this, args);
    const outside = AsyncLocalStorage.snapshot(); // what the caller does next is its own
    const told = (...results) => {
      completed();
      outside(() => tell(...results));
    };
    return onBehalf.run(true, () => original.apply(this, [...args.slice(0, -1), told]));
  };

const promise = (kind, changes, of) => (original) =>
  function (...args) {
    const completed = fileMutation(kind, changes, of === 'handle' ? [this, ...args] : args);
    if (completed === undefined) return original.apply(this, args);
    return onBehalf.run(true, () => original.apply(this, args)).finally(completed);
  };

function rememberPaths() {
  replace(fs, 'openSync', (original) => (...args) => {
    const fd = original(...args);
    pathOfFd.set(fd, pathOf(args[0]));
    return fd;
  });
  replace(fs, 'open', (original) => (...args) => {
    const tell = args.at(-1);
    if (typeof tell !== 'function') return original(...args);
    return original(...args.slice(0, -1), (error, fd) => {
      if (!error) pathOfFd.set(fd, pathOf(args[0]));
      tell(error, fd);
    });
  });
  replace(fs.promises, 'open', (original) => async (...args) => {
    const handle = await original(...args);
    pathOfHandle.set(handle, pathOf(args[0]));
    pathOfFd.set(handle.fd, pathOf(args[0]));
    return handle;
  });
}

async function watchFiles() {
  const handle = await fs.promises.open(process.execPath); // the class of file handles is not exported
  const FileHandle = Object.getPrototypeOf(handle);
  await handle.close();
  rememberPaths();
  for (const [changes, names] of FILE_MUTATIONS) {
    for (const name of names) {
      replace(fs, name, callback(`fs.${name}`, changes));
      replace(fs, `${name}Sync`, sync(`fs.${name}Sync`, changes));
      replace(fs.promises, name, promise(`fs.promises.${name}`, changes));
    }
  }
  for (const name of HANDLE_MUTATIONS)
    replace(FileHandle, name, promise(`FileHandle.${name}`, first, 'handle'));
}

// --- Processes -------------------------------------------------------------------------------------------------------

function watchProcesses() {
  const signal = (kind, describe) => (original) =>
    function (...args) {
      const target = describe.apply(this, args);
      if (nested() || target === undefined) return original.apply(this, args);
      const completed = mutation(kind, target);
      try {
        return original.apply(this, args);
      } finally {
        completed();
      }
    };
  const real = (pid, name) => (name === 0 ? undefined : `${pid} ${name ?? 'SIGTERM'}`);
  replace(process, 'kill', signal('process.kill', real));
  replace(
    childProcess.ChildProcess.prototype,
    'kill',
    signal('ChildProcess.kill', function (name) {
      return real(this.pid, name);
    }),
  );

  for (const name of ['spawn', 'fork', 'exec', 'execFile']) {
    replace(childProcess, name, (original) => (...args) => {
      if (nested()) return original(...args);
      const completed = mutation(`child_process.${name}`, commandOf(args));
      const child = synchronously(() => original(...args));
      child.prependOnceListener('spawn', completed);
      if (child.pid === undefined) child.prependOnceListener('error', completed);
      return child;
    });
    replace(childProcess, `${name}Sync`, (original) => (...args) => {
      if (nested()) return original(...args);
      const completed = mutation(`child_process.${name}Sync`, commandOf(args));
      try {
        return synchronously(() => original(...args));
      } finally {
        completed();
      }
    });
  }
  // Node's own promisified forms hold on to the originals.
  for (const name of ['exec', 'execFile']) {
    const wrapped = childProcess[name];
    Object.defineProperty(wrapped, promisify.custom, {
      configurable: true,
      value: (...args) => {
        const { promise: result, resolve, reject } = Promise.withResolvers();
        result.child = wrapped(...args, (error, stdout, stderr) => {
          if (error) reject(Object.assign(error, { stdout, stderr }));
          else resolve({ stdout, stderr });
        });
        return result;
      },
    });
  }
}

function commandOf([file, args]) {
  return Array.isArray(args) ? [file, ...args].join(' ') : String(file);
}

// --- Requests --------------------------------------------------------------------------------------------------------

/** By Node's diagnostics channels, which see every client request however it is made, before a byte of it is sent. */
function watchRequests() {
  const open = new WeakMap();
  const start = (kind, request, method, target) => {
    if (['GET', 'HEAD', 'OPTIONS', 'CONNECT'].includes(method.toUpperCase())) return;
    open.set(request, mutation(kind, `${method} ${target}`));
  };
  const completed = ({ request }) => open.get(request)?.();

  diagnosticsChannel.subscribe('http.client.request.created', ({ request }) => {
    const place = request.socketPath ?? request.getHeader('host') ?? request.host;
    start('http.request', request, request.method, `${place} ${request.path}`);
  });
  diagnosticsChannel.subscribe('http.client.response.finish', completed); // published when the headers are parsed
  diagnosticsChannel.subscribe('http.client.request.error', completed);
  diagnosticsChannel.subscribe('undici:request:create', ({ request }) => {
    start('fetch', request, request.method, `${request.origin} ${request.path}`);
  });
  diagnosticsChannel.subscribe('undici:request:headers', completed);
  diagnosticsChannel.subscribe('undici:request:error', completed);
}

if (crashAt > 0 || log !== undefined) {
  await watchFiles();
  watchProcesses();
  watchRequests();
  syncBuiltinESMExports();
}
