import { readFileSync } from 'node:fs';

/** Text of helper.py, which the build ships beside the code that reads it. */
export function helperSource(): string {
  return readFileSync(new URL('./helper.py', import.meta.url), 'utf8');
}

/**
 * Arguments that make a Python read its program from the first bytes of its standard input and leave the rest to the
 * program: nothing has to be written to the application's machine, container or image.
 */
export function bootstrap(source: string): string[] {
  const length = Buffer.byteLength(source);
  return [
    '-c',
    [
      'import os',
      "program = b''",
      `while len(program) < ${length}:`,
      `    part = os.read(0, ${length} - len(program))`,
      '    if not part: os._exit(1)',
      '    program += part',
      "exec(compile(program, 'deploy-actions helper.py', 'exec'))",
    ].join('\n'),
  ];
}
