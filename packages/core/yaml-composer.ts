// A module of its own, so that it is loaded when there is YAML to read, and with no more of the library than that takes:
// its events say where everything stands, which the values that it makes do not.
import {
  boolCoreTag,
  type Event,
  EVENT_ID,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from 'js-yaml';
import type { Place, YamlDocument, YamlEntry, YamlNode, YamlProblem } from './yaml.ts';

type OfType<Id> = Extract<Event, { type: Id }>;
type ScalarEvent = OfType<typeof EVENT_ID.SCALAR>;
type CollectionEvent = OfType<typeof EVENT_ID.SEQUENCE> | OfType<typeof EVENT_ID.MAPPING>;
type NodeEvent = ScalarEvent | CollectionEvent | OfType<typeof EVENT_ID.ALIAS>;

/** How many values all aliases of a document may repeat: enough for any file that people write, and no bomb. */
const repeatLimit = 10_000;

/** How many of a sorted list are less. */
function countBelow(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Locator {
  placeOf(offset: number): Place;
  /** The line that an offset is in, without its end. */
  lineOf(offset: number): { start: number; text: string };
}

/** Finds places in a time that does not depend on the length of the text or of a line. */
function createLocator(text: string): Locator {
  const first = text.startsWith('\ufeff') ? 1 : 0;
  const starts = [first];
  for (const { index, 0: end } of text.matchAll(/\r\n?|\n/g)) starts.push(index + end.length);
  // The second halves of characters that take two code units.
  const halves = Array.from(text.matchAll(/[\ud800-\udbff](?=[\udc00-\udfff])/g), ({ index }) => index + 1);
  const clamped = (offset: number) => Math.min(Math.max(offset, first), text.length);
  return {
    placeOf(offset) {
      const at = clamped(offset);
      const line = countBelow(starts, at + 1);
      const start = starts[line - 1] ?? first;
      return { line, column: at - start + 1 - (countBelow(halves, at) - countBelow(halves, start)) };
    },
    lineOf(offset) {
      const line = countBelow(starts, clamped(offset) + 1);
      const start = starts[line - 1] ?? first;
      return { start, text: text.slice(start, starts[line] ?? text.length).replace(/[\r\n]+$/, '') };
    },
  };
}

const implicitTags = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag];

/** The value of a text without a tag and without quotes. */
function plainValue(text: string): null | boolean | number | string {
  for (const tag of implicitTags) {
    const value = tag.resolve(text, false, tag.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

const coreTag = 'tag:yaml.org,2002:';
const kindTags = { scalar: 'str', list: 'seq', mapping: 'map' } as const;

/** `int` of `!!int` and of `!<tag:yaml.org,2002:int>`; the kind's own of `!`; undefined for tags of others. */
function coreTagOf(written: string, kind: keyof typeof kindTags): string | undefined {
  if (written === '!') return kindTags[kind];
  if (written.startsWith('!!')) return written.slice(2);
  return written.startsWith(`!<${coreTag}`) ? written.slice(2 + coreTag.length, -1) : undefined;
}

/** The header of a block scalar, `|` or `>` and what may follow it in its line. */
const blockHeader = /[|>][-+0-9]*[ \t]*(?:#.*)?$/;

/** What the parser stumbled over, in words, and where. Indenting with a tab is the mistake that its own words do not name. */
function syntaxProblem(thrown: YAMLException, { placeOf, lineOf }: Locator): YamlProblem {
  const offset = thrown.mark?.position ?? 0;
  const line = lineOf(offset);
  const tab = /^ *\t/.exec(line.text);
  return tab === null
    ? { place: placeOf(offset), message: thrown.reason }
    : {
        place: placeOf(line.start + tab[0].length - 1),
        message: 'a line is indented with a tab; use spaces',
      };
}

/** The document of a text; see `readYaml`. */
export function compose(text: string): YamlDocument {
  const [first, ...others] = composeAll(text);
  const { root, problems } = first ?? { root: null, problems: [] };
  const second = others.slice(0, 1).map(({ root: other, place }): YamlProblem => ({
    place: other?.place ?? place,
    message: 'a second document begins here; a file has one',
  }));
  return { root, problems: inOrder([...problems, ...second]) };
}

function inOrder(problems: YamlProblem[]): YamlProblem[] {
  return problems.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
}

/** Every document of a text, each with anchors of its own; see `readYamlDocuments`. */
export function composeAll(text: string): (YamlDocument & { place: Place })[] {
  const locator = createLocator(text);
  let events: Event[];
  try {
    events = parseEvents(text, {});
  } catch (thrown) {
    if (!(thrown instanceof YAMLException)) throw thrown;
    const problem = syntaxProblem(thrown, locator);
    return [{ root: null, problems: [problem], place: problem.place }];
  }
  const documents: (YamlDocument & { place: Place })[] = [];
  for (let next = 0; next < events.length;) {
    const { document, end } = composeOne(text, events, next, locator);
    documents.push(document);
    next = end;
  }
  return documents;
}

/** The document whose event is at `begin`, and where the next one begins. */
function composeOne(
  text: string,
  events: Event[],
  begin: number,
  { placeOf, lineOf }: Locator,
): { document: YamlDocument & { place: Place }; end: number } {
  const problems: YamlProblem[] = [];
  const anchors = new Map<string, YamlNode>();
  /** How many values a node has with everything in it, those of aliases counted again; without an entry, 1. */
  const sizes = new WeakMap<YamlNode, number>();
  const sizeOf = (node: YamlNode) => sizes.get(node) ?? 1;
  // After the event of the document itself.
  let next = begin + 1;
  let repeated = 0;

  const problem = (place: Place, message: string) => void problems.push({ place, message });
  const nothing = (place: Place): YamlNode => ({ kind: 'scalar', place, value: null, text: '' });

  function alias({ anchorStart, anchorEnd }: OfType<typeof EVENT_ID.ALIAS>): YamlNode {
    const place = placeOf(anchorStart - 1);
    const name = text.slice(anchorStart, anchorEnd);
    const target = anchors.get(name);
    if (target === undefined) {
      problem(place, `\`*${name}\` stands for an anchor \`&${name}\` that does not end before it`);
      return nothing(place);
    }
    const size = sizeOf(target);
    const before = repeated;
    repeated += size;
    if (repeated > repeatLimit) {
      // Said once: every alias after the one that goes too far goes too far, too.
      if (before <= repeatLimit)
        problem(place, `up to here aliases repeat more than ${repeatLimit} values; that many are not read`);
      return nothing(place);
    }
    const node = { ...target, place };
    sizes.set(node, size);
    return node;
  }

  function placeOfScalar({ style, valueStart, tagStart }: ScalarEvent, otherwise: Place): Place {
    if (valueStart < 0) return tagStart >= 0 ? placeOf(tagStart) : otherwise;
    switch (style) {
      case SCALAR_STYLE.SINGLE_QUOTED:
      case SCALAR_STYLE.DOUBLE_QUOTED:
        return placeOf(valueStart - 1);
      case SCALAR_STYLE.LITERAL_BLOCK:
      case SCALAR_STYLE.FOLDED_BLOCK: {
        // The text begins in the line after the header, or where the file ends with the header.
        const atEnd = valueStart === text.length && !/[\r\n]/.test(text.at(-1) ?? '');
        const header = lineOf(atEnd ? valueStart : valueStart - 1);
        return placeOf(header.start + Math.max(0, header.text.search(blockHeader)));
      }
      default:
        return placeOf(valueStart);
    }
  }

  function scalar(event: ScalarEvent, otherwise: Place): YamlNode {
    const place = placeOfScalar(event, otherwise);
    const content = getScalarValue(text, event);
    const made = (value: null | boolean | number | string): YamlNode => {
      return { kind: 'scalar', place, value, text: content };
    };
    if (event.tagStart < 0) return made(event.style === SCALAR_STYLE.PLAIN ? plainValue(content) : content);
    const written = text.slice(event.tagStart, event.tagEnd);
    const name = coreTagOf(written, 'scalar');
    if (name === 'str') return made(content);
    const tag = implicitTags.find(({ tagName }) => tagName === `${coreTag}${name}`);
    const value = tag?.resolve(content, true, tag.tagName);
    if (value !== undefined && value !== NOT_RESOLVED) return made(value);
    problem(
      placeOf(event.tagStart),
      tag === undefined ? `the tag \`${written}\` is not known here` : `this is no value for \`${written}\``,
    );
    return made(content);
  }

  function checkTag({ tagStart, tagEnd }: CollectionEvent, kind: 'list' | 'mapping'): void {
    if (tagStart < 0) return;
    const written = text.slice(tagStart, tagEnd);
    if (coreTagOf(written, kind) !== kindTags[kind]) {
      problem(placeOf(tagStart), `the tag \`${written}\` is not known here`);
    }
  }

  const isOpen = () => events[next]?.type !== EVENT_ID.POP;

  function list(event: CollectionEvent): YamlNode {
    const place = placeOf(event.start);
    checkTag(event, 'list');
    const items: YamlNode[] = [];
    while (isOpen()) items.push(node(place));
    next += 1;
    const made: YamlNode = { kind: 'list', place, items };
    sizes.set(
      made,
      items.reduce((sum, item) => sum + sizeOf(item), 1),
    );
    return made;
  }

  function mapping(event: CollectionEvent): YamlNode {
    const place = placeOf(event.start);
    checkTag(event, 'mapping');
    const entries = new Map<string, YamlEntry>();
    let size = 1;
    while (isOpen()) {
      const key = node(place);
      const value = node(key.place);
      size += sizeOf(value);
      if (key.kind !== 'scalar') {
        problem(key.place, 'a key is text, not a list or a mapping');
        continue;
      }
      const first = entries.get(key.text)?.place;
      if (first === undefined) entries.set(key.text, { place: key.place, node: value });
      else {
        problem(
          key.place,
          `the key \`${key.text}\` is there twice, here and at ${first.line}:${first.column}`,
        );
      }
    }
    next += 1;
    const made: YamlNode = { kind: 'mapping', place, entries };
    sizes.set(made, size);
    return made;
  }

  /** The next node. `otherwise`: the place of one of which nothing is written. */
  function node(otherwise: Place): YamlNode {
    const event = events[next] as NodeEvent;
    next += 1;
    if (event.type === EVENT_ID.ALIAS) return alias(event);
    const made =
      event.type === EVENT_ID.SCALAR
        ? scalar(event, otherwise)
        : event.type === EVENT_ID.SEQUENCE
          ? list(event)
          : mapping(event);
    if (event.anchorStart >= 0) anchors.set(text.slice(event.anchorStart, event.anchorEnd), made);
    return made;
  }

  const root = node(placeOf(text.length));
  return { document: { root, problems: inOrder(problems), place: root.place }, end: next + 1 };
}
