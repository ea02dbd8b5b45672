import { type Context, createSummary } from '@deploy-actions/action-kit';

export interface TestContext {
  context: Context;
  /** What was logged, by every level. */
  lines: string[];
  masked: string[];
  annotations: { level: string; message: string; file: string }[];
}

/** What an action is given, without a runner: everything it says is kept. */
export function createTestContext(own: Partial<Context> = {}): TestContext {
  const lines: string[] = [];
  const masked: string[] = [];
  const annotations: TestContext['annotations'] = [];
  const say = (message: string) => void lines.push(message);
  const context: Context = {
    facts: {
      repository: '',
      sha: '',
      ref: '',
      actor: '',
      workflow: '',
      job: '',
      runId: '',
      runAttempt: '1',
      runUrl: '',
      eventName: '',
      eventPath: '',
      apiUrl: '',
      graphqlUrl: '',
      workspace: process.cwd(),
      temp: process.cwd(),
    },
    log: {
      info: say,
      warning: say,
      debug: say,
      progress: ({ what, detail }) => say(`${what}: ${detail ?? ''}`),
      group: (_title, body) => body(),
    },
    summary: createSummary(),
    signal: new AbortController().signal,
    environment: process.env,
    asset: (name) => name,
    mask: (secret) => void masked.push(secret),
    redact: (text) => text,
    annotate: (level, message, { file }) => void annotations.push({ level, message, file }),
    remember: () => {},
    recall: () => '',
    ...own,
  };
  return { context, lines, masked, annotations };
}
