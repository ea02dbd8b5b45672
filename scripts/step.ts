import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How a step ended. */
export interface EndedStep {
  code: number | null;
  /** Standard output and error, in the order in which they came. */
  text: string;
  outputs: Map<string, string>;
  summary: string;
}

export interface StepOptions {
  args?: string[];
  /** Options of Node itself. */
  nodeOptions?: string[];
  inputs?: Record<string, string>;
  environment?(folders: StepFolders): Record<string, string>;
  /** Called with all output so far whenever there is more. */
  onOutput?(child: ChildProcess, text: string): void;
  /** Called before the step with the folder of its workspace and runner files. */
  before?(folders: StepFolders): Promise<void>;
  /** Called after the step, before the folders are removed. */
  after?(folders: StepFolders): Promise<void>;
}

export interface StepFolders {
  workspace: string;
  temp: string;
  /** Where the runner's files for outputs, summary and state are. */
  runner: string;
}

/** Reads what `setOutput` of the toolkit writes: name<<delimiter, lines, delimiter. */
export function parseOutputs(text: string): Map<string, string> {
  const outputs = new Map<string, string>();
  for (const [, name = '', , value = ''] of text.matchAll(/^([^\n=]+?)<<([^\n]+)\n([\s\S]*?)\n?\2$/gm)) {
    outputs.set(name, value);
  }
  return outputs;
}

/** Runs an entry of dist as the runner does: a process of its own, with an environment of what the runner gives alone. */
export async function runStep(file: string, options: StepOptions = {}): Promise<EndedStep> {
  const root = await mkdtemp(join(tmpdir(), 'deploy-actions-step-'));
  const folders = {
    workspace: join(root, 'workspace'),
    temp: join(root, 'temp'),
    runner: join(root, 'runner'),
  };
  try {
    for (const folder of Object.values(folders)) await mkdir(folder);
    const runnerFile = (name: string) => join(folders.runner, name);
    for (const name of ['output', 'summary', 'state']) await writeFile(runnerFile(name), '');
    await options.before?.(folders);
    const inputs = Object.entries(options.inputs ?? {});
    const child = spawn(process.execPath, [...(options.nodeOptions ?? []), file, ...(options.args ?? [])], {
      cwd: folders.workspace,
      timeout: 60_000,
      env: {
        PATH: process.env['PATH'],
        HOME: root,
        GITHUB_OUTPUT: runnerFile('output'),
        GITHUB_STEP_SUMMARY: runnerFile('summary'),
        GITHUB_STATE: runnerFile('state'),
        GITHUB_WORKSPACE: folders.workspace,
        RUNNER_TEMP: folders.temp,
        ...Object.fromEntries(inputs.map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
        ...options.environment?.(folders),
      },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        options.onOutput?.(child, text);
      });
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    const outputs = parseOutputs(await readFile(runnerFile('output'), 'utf8'));
    const summary = await readFile(runnerFile('summary'), 'utf8');
    await options.after?.(folders);
    return { code, text, outputs, summary };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
