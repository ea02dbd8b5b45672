// Opens an engine, runs a container, says `running`, and ends both when its input ends.

import { once } from 'node:events';
import { openEngine } from './engine.ts';

const engine = await openEngine((line) => void process.stderr.write(`${line}\n`));
const image = `${engine.registry}/library/${engine.bases['debian:bookworm-slim']}`;
await engine.docker('run', '--detach', image, 'sleep', '600');
console.log('running');
process.stdin.resume();
await once(process.stdin, 'end');
await engine.end();
