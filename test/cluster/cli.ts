// npm run cluster -- up       brings it up, or finds it healthy; prints the path of the administrator's kubeconfig
// npm run cluster -- status   what runs; exit code 1 when it is not up and healthy
// npm run cluster -- down     ends it and undoes what it did to the machine

import { down, status, up } from './cluster.ts';
import { kubeconfigFile } from './place.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function report(): Promise<number> {
  const seen = await status();
  if (seen === undefined) {
    say('No cluster is up.');
    return 1;
  }
  for (const { name, pid, runs } of seen.daemons) say(`${name.padEnd(24)} ${runs ? `pid ${pid}` : 'ended'}`);
  say(`API server ${seen.apiReady ? 'ready' : 'not ready'}, node ${seen.nodeReady ? 'ready' : 'not ready'}`);
  console.log(kubeconfigFile);
  return seen.healthy ? 0 : 1;
}

const commands: Record<string, () => Promise<number>> = {
  async up() {
    await up(say);
    console.log(kubeconfigFile);
    return 0;
  },
  async down() {
    say((await down(say)) ? 'The cluster is down.' : 'No cluster was up.');
    return 0;
  },
  status: report,
};

const name = process.argv[2] ?? '';
const command = commands[name];
if (command === undefined) {
  say(`usage: npm run cluster -- ${Object.keys(commands).join(' | ')}`);
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await command();
  } catch (error) {
    for (let one: unknown = error; one instanceof Error; one = one.cause) say(one.message);
    process.exitCode = 1;
  }
}
