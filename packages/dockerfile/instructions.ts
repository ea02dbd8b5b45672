export interface Instruction {
  /** In capitals. */
  name: string;
  /** What follows the name, in one line, without the bodies of here-documents. */
  argument: string;
  /** Its first line, from 1. */
  line: number;
  /** The bodies of its here-documents, one after another; empty where there are none. */
  documents: string;
}

/** Parser directives are comments at the very top; of `syntax` the first says which front end reads the file. */
const directive = /^#\s*([a-z]+)\s*=\s*(.+?)\s*$/i;

/** The directives at the top of a Dockerfile, by name in small letters. */
export function directivesOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const [, name = '', value = ''] = directive.exec(line.trim()) ?? [];
    if (name === '' || found.has(name.toLowerCase())) break;
    found.set(name.toLowerCase(), value);
  }
  return found;
}

/** The instructions of a Dockerfile; lines that end with the escape go on. Undefined for a text that has no FROM. */
export function readDockerfile(text: string): Instruction[] | undefined {
  const instructions: Instruction[] = [];
  const escape = directivesOf(text).get('escape') === '`' ? '`' : '\\';
  let open: Instruction | undefined;
  /** Here-documents that are still open, and whose they are. */
  let ends: string[] = [];
  let owner: Instruction | undefined;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (ends.length > 0) {
      if (raw.trim() === ends[0]) ends = ends.slice(1);
      else if (owner !== undefined) owner.documents += `${raw}\n`;
      continue;
    }
    const line = raw.trim();
    if (line.startsWith('#') || (line === '' && open === undefined)) continue;
    const goesOn = line.endsWith(escape);
    const said = goesOn ? line.slice(0, -1) : line;
    if (open === undefined) {
      const [, name = '', argument = ''] = /^([A-Za-z]+)\s*(.*)$/.exec(said) ?? [];
      open = { name: name.toUpperCase(), argument, line: index + 1, documents: '' };
    } else open.argument += ` ${said}`;
    if (goesOn) continue;
    if (['RUN', 'COPY', 'ADD'].includes(open.name)) {
      ends = Array.from(open.argument.matchAll(/<<-?\s*["']?([A-Za-z_]\w*)["']?/g), ([, end = '']) => end);
      owner = open;
    }
    instructions.push(open);
    open = undefined;
  }
  if (open !== undefined) instructions.push(open);
  return instructions.some(({ name }) => name === 'FROM') ? instructions : undefined;
}

export interface Stage {
  /** `AS` name, or the number. */
  name: string;
  /** As it is written, with its variables: an image, or a stage. */
  base: string;
  from: Instruction;
  instructions: Instruction[];
}

/** The stages, in their order. What stands before the first FROM is of none. */
export function stagesOf(instructions: readonly Instruction[]): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of instructions) {
    if (instruction.name === 'FROM') {
      const words = instruction.argument.split(/\s+/).filter((word) => !word.startsWith('--'));
      const name = words[1]?.toLowerCase() === 'as' ? (words[2] ?? '') : String(stages.length);
      stages.push({ name, base: words[0] ?? '', from: instruction, instructions: [] });
    } else stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

/** The stage that a name or a number means in the stages before another one; names are read without regard to case. */
export function stageNamed(stages: readonly Stage[], name: string): Stage | undefined {
  const small = name.toLowerCase();
  return (
    stages.findLast((stage) => stage.name.toLowerCase() === small) ??
    (/^\d+$/.test(name) ? stages[Number(name)] : undefined)
  );
}

/** The instructions that hold for a stage: those of the stages that it is made from, too. */
export function inherited(stages: readonly Stage[], stage: Stage): Instruction[] {
  const base = stageNamed(stages.slice(0, stages.indexOf(stage)), stage.base);
  return base === undefined ? stage.instructions : [...inherited(stages, base), ...stage.instructions];
}
