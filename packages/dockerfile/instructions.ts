export interface Instruction {
  /** In capitals. */
  name: string;
  /** What follows the name, in one line, without the bodies of here-documents. */
  argument: string;
  /** Its first line, from 1. */
  line: number;
  /** The bodies of its here-documents, one after another; empty where there are none. */
  documents: string;
  /** The end that a here-document of it waits for in vain: then the instructions after it are not known. */
  unended: string | undefined;
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

interface HereDocument {
  /** The line that ends it. */
  end: string;
  /** `<<-`: tabs before the end do not count. */
  tabs: boolean;
}

/** A piece of a line as a shell divides it; the last alternative is a quote that is not closed. */
const piece = /'[^']*'|"(?:\\.|[^"\\])*"|\\.?|<<\s*|\s+|[^\s'"\\<]+|<|['"]/gs;

/** The words of a line, quotes and all. Blanks after `<<` divide no words. None where a quote is not closed, as for the builder. */
function shellWords(line: string): string[] {
  const words = [''];
  for (const [part] of line.matchAll(piece)) {
    if (part === "'" || part === '"') return [];
    if (part.trim() === '') words.push('');
    else words.push((words.pop() ?? '') + part);
  }
  return words.filter((word) => word !== '');
}

/**
 * The here-documents of an instruction, as BuildKit finds them: words that are `<<END`, `<<-END` or `3<<'END'` and nothing else. So
 * `<<<text` is none, nor is what stands in the quotes of `bash -c "cat <<END"` or behind other text, `cat<<END`.
 */
function hereDocuments(argument: string): HereDocument[] {
  return shellWords(argument).flatMap((word): HereDocument[] => {
    const [, dash, rest = ''] = /^\d*<<(-?)\s*([^<]*)$/.exec(word) ?? [];
    const end = rest.replace(
      /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs,
      (_quoted, single?: string, double?: string, escaped = '') =>
        single ?? double?.replace(/\\(["$\\])/g, '$1') ?? String(escaped),
    );
    return end === '' ? [] : [{ end, tabs: dash === '-' }];
  });
}

/** The instructions of a Dockerfile; lines that end with the escape go on. Undefined for a text that has no FROM. */
export function readDockerfile(text: string): Instruction[] | undefined {
  const instructions: Instruction[] = [];
  const escape = directivesOf(text).get('escape') === '`' ? '`' : '\\';
  let open: Instruction | undefined;
  /** Here-documents that are still open, and whose they are. */
  let ends: HereDocument[] = [];
  let owner: Instruction | undefined;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const [awaited] = ends;
    if (awaited !== undefined) {
      if ((awaited.tabs ? raw.replace(/^\t+/, '') : raw) === awaited.end) ends = ends.slice(1);
      else if (owner !== undefined) owner.documents += `${raw}\n`;
      continue;
    }
    const line = raw.trim();
    // Between lines that go on, too: the builder warns of it, and reads on.
    if (line.startsWith('#') || line === '') continue;
    // Two of them are the character itself.
    const goesOn = line.endsWith(escape) && !line.endsWith(escape + escape);
    const said = goesOn ? line.slice(0, -1) : line;
    if (open === undefined) {
      const [, name = '', argument = ''] = /^([A-Za-z]+)\s*(.*)$/.exec(said) ?? [];
      open = { name: name.toUpperCase(), argument, line: index + 1, documents: '', unended: undefined };
    } else open.argument += ` ${said}`;
    if (goesOn) continue;
    if (/^(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\b/i.test(`${open.name} ${open.argument}`)) {
      ends = hereDocuments(open.argument);
      owner = open;
    }
    instructions.push(open);
    open = undefined;
  }
  if (open !== undefined) instructions.push(open);
  if (owner !== undefined) owner.unended = ends[0]?.end;
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
