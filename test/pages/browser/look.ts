/* Holds a rendered page against the rules of ../problem.ts, by what the browser laid out and computed. */

import type { Look, Problem, RuleName } from '../problem.ts';
import { chartBackgrounds, htmlBackground } from './background.ts';
import { type Colour, contrast, describeColour, faded, over, parseColour } from './colour.ts';

/** Boxes may be off by this much, in px, for they are rounded. */
const slack = 1;
const leastTextContrast = 4.5;
const leastShapeContrast = 3;
const leastChartText = 9;

export interface LookOptions {
  /** A table may scroll: on a phone, or where content is made to be too long. */
  tablesScroll: boolean;
}

interface Shown {
  node: Text;
  parent: Element;
  rects: DOMRect[];
}

type Report = (rule: RuleName, element: Element, measured: string) => void;

/** `td «CVE-2019-1549: libssl…» in table`. */
function nameOf(element: Element): string {
  const text = (element.textContent ?? '').replace(/\s+/g, ' ').trim();
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  const box = element.parentElement?.closest('table, pre, details, svg, ul, ol')?.localName;
  return `${element.localName} «${short}»${box === undefined ? '' : ` in ${box}`}`;
}

const px = (length: number) => `${length.toFixed(1)} px`;

/** The text that a reader sees. */
function visibleTexts(root: Element): Shown[] {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found: Shown[] = [];
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!(node instanceof Text) || parent === null || node.data.trim() === '') continue;
    if (parent.closest('style, title, desc, defs') !== null || !parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = [...range.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
    if (rects.length > 0) found.push({ node, parent, rects });
  }
  return found;
}

function union(rects: DOMRect[]): DOMRect {
  const left = Math.min(...rects.map((rect) => rect.left));
  const top = Math.min(...rects.map((rect) => rect.top));
  const right = Math.max(...rects.map((rect) => rect.right));
  const bottom = Math.max(...rects.map((rect) => rect.bottom));
  return new DOMRect(left, top, right - left, bottom - top);
}

/** How far a box reaches out of another, sideways. */
function sideways(inner: DOMRect, outer: DOMRect): number {
  return Math.max(inner.right - outer.right, outer.left - inner.left);
}

/** What GitHub scrolls: tables and blocks of code. Others hide that something does not fit. */
function isScrollBox(element: Element): boolean {
  return (
    ['table', 'pre'].includes(element.localName) && /auto|scroll/.test(getComputedStyle(element).overflowX)
  );
}

function scrollBoxOf(element: Element | null): Element | undefined {
  for (let box = element; box !== null; box = box.parentElement) if (isScrollBox(box)) return box;
  return undefined;
}

function blockOf(element: Element): Element {
  let block = element;
  while (block.parentElement !== null && /^(?:inline|contents)$/.test(getComputedStyle(block).display))
    block = block.parentElement;
  return block;
}

function lookAtBoxes(root: Element, texts: Shown[], report: Report): void {
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) {
    report('page-scrolls', page, `${page.scrollWidth} px of content in ${page.clientWidth} px`);
  }
  for (const element of root.querySelectorAll('*')) {
    if (element.closest('svg svg, svg *') !== null || !element.checkVisibility()) continue;
    const { parentElement: parent } = element;
    const rect = element.getBoundingClientRect();
    if (parent !== null && scrollBoxOf(parent) === undefined && rect.width > 0) {
      const out = sideways(rect, parent.getBoundingClientRect());
      if (out > slack)
        report('overflow', element, `${px(rect.width)} wide, ${px(out)} out of its ${parent.localName}`);
    }
    const { overflowX, overflowY } = getComputedStyle(element);
    const isHidden = /hidden|clip/;
    const cutX = isHidden.test(overflowX) ? element.scrollWidth - element.clientWidth : 0;
    const cutY = isHidden.test(overflowY) ? element.scrollHeight - element.clientHeight : 0;
    if (element.localName !== 'svg' && Math.max(cutX, cutY) > slack)
      report('clipped', element, `${px(Math.max(cutX, cutY))} of it are hidden`);
    if (
      /auto|scroll/.test(`${overflowX} ${overflowY}`) &&
      !isScrollBox(element) &&
      element.scrollWidth > element.clientWidth
    )
      report('overflow', element, `it scrolls sideways, which GitHub's does not`);
  }
  for (const { parent, rects } of texts) {
    if (parent.closest('svg, pre') !== null) continue;
    const block = blockOf(parent);
    const out = sideways(union(rects), block.getBoundingClientRect());
    if (out > slack) report('overflow', parent, `its text is ${px(out)} out of its ${block.localName}`);
  }
}

/** Effective opacity of an element within everything it is in. */
function opacityOf(element: Element): number {
  let opacity = 1;
  for (let each: Element | null = element; each !== null; each = each.parentElement)
    opacity *= Number(getComputedStyle(each).opacity);
  return opacity;
}

/** Emoji bring their own colours. */
function isPictures(text: string): boolean {
  return text.replace(/[\p{Extended_Pictographic}\ufe0f\u200d\s]/gu, '') === '';
}

function lookAtContrast(texts: Shown[], report: Report): void {
  for (const { node, parent } of texts) {
    if (isPictures(node.data)) continue;
    const style = getComputedStyle(parent);
    const inSvgText = parent.closest('text') !== null;
    const colour = parseColour(inSvgText ? style.fill : style.color);
    if (colour === undefined) {
      report('contrast', parent, `its colour ${inSvgText ? style.fill : style.color} cannot be measured`);
      continue;
    }
    const ink = faded(colour, opacityOf(parent) * (inSvgText ? Number(style.fillOpacity) : 1));
    let backgrounds: Colour[];
    if (parent.closest('svg') === null) backgrounds = [htmlBackground(parent)];
    else {
      parent.scrollIntoView({ block: 'center' });
      backgrounds = chartBackgrounds(node, parent);
    }
    for (const background of backgrounds) {
      const shown = over(ink, background);
      const ratio = contrast(shown, background);
      if (ratio >= leastTextContrast) continue;
      report(
        'contrast',
        parent,
        `${ratio.toFixed(2)}: ${describeColour(shown)} on ${describeColour(background)}`,
      );
      break;
    }
  }
}

function lookAtChart(svg: SVGSVGElement, texts: Shown[], report: Report): void {
  const frame = svg.getBoundingClientRect();
  if (frame.width < 10 || frame.height < 10) {
    report('chart-drawn', svg, `${px(frame.width)} × ${px(frame.height)}`);
    return;
  }
  svg.scrollIntoView({ block: 'center' });
  // Of several lines each is a text; a label is one.
  const labels = new Map<Element, DOMRect[]>();
  for (const { parent, node } of texts) {
    if (parent.closest('svg') !== svg && parent.closest('foreignObject')?.closest('svg') !== svg) continue;
    const label = parent.closest('foreignObject, text') ?? parent;
    const range = document.createRange();
    range.selectNodeContents(node);
    labels.set(label, [...(labels.get(label) ?? []), ...range.getClientRects()]);
    const scale = svg.getScreenCTM()?.a ?? 1;
    const size = Number.parseFloat(getComputedStyle(parent).fontSize) * scale;
    if (size < leastChartText)
      report('chart-small', parent, `${px(size)} high, scaled by ${scale.toFixed(2)}`);
  }
  if (labels.size === 0) report('chart-drawn', svg, 'it has no text');
  const boxes = [...labels].map(([label, rects]) => ({ label, box: union(rects) }));
  const svgFrame = svg.getBoundingClientRect();
  for (const [index, { label, box }] of boxes.entries()) {
    const outX = sideways(box, svgFrame);
    const outY = Math.max(box.bottom - svgFrame.bottom, svgFrame.top - box.top);
    if (Math.max(outX, outY) > slack)
      report('chart-outside', label, `${px(Math.max(outX, outY))} out of the chart`);
    if (label.localName === 'foreignObject' && getComputedStyle(label).overflow !== 'visible') {
      const out = sideways(box, label.getBoundingClientRect());
      if (out > slack) report('clipped', label, `${px(out)} of it are hidden`);
    }
    for (const other of boxes.slice(index + 1)) {
      const wide = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
      const high = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
      if (wide > slack && high > slack)
        report('chart-overlap', label, `${px(wide)} × ${px(high)} in common with ${nameOf(other.label)}`);
    }
    const middle = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const covers =
      middle !== null && svg.contains(middle) && !label.contains(middle) && !middle.contains(label);
    if (covers && label.compareDocumentPosition(middle) & Node.DOCUMENT_POSITION_FOLLOWING)
      report('chart-overlap', label, `a ${middle.localName} lies over it`);
  }
  // A chart of bars may have a ground of its own.
  const ground = svg.querySelector('rect.background');
  const fill = ground === null ? undefined : parseColour(getComputedStyle(ground).fill);
  const page = htmlBackground(svg);
  const behind = fill === undefined ? page : over(fill, page);
  for (const shape of svg.querySelectorAll('.plot rect, .plot path, path.flowchart-link')) {
    const style = getComputedStyle(shape);
    const colour = parseColour(shape.localName === 'rect' ? style.fill : style.stroke);
    if (colour === undefined) continue;
    const ratio = contrast(over(faded(colour, opacityOf(shape)), behind), behind);
    if (ratio < leastShapeContrast)
      report('chart-unread', shape, `${ratio.toFixed(2)} on ${describeColour(behind)}`);
  }
}

/** Looks at everything, folded parts opened. */
export function look({ tablesScroll }: LookOptions): Look {
  const root = document.querySelector('.markdown-body');
  if (root === null) throw new Error('the page has no place for Markdown');
  const problems: Problem[] = [];
  const report: Report = (rule, element, measured) =>
    problems.push({ rule, element: nameOf(element), measured });
  const texts = visibleTexts(root);
  lookAtBoxes(root, texts, report);
  lookAtContrast(texts, report);
  for (const image of root.querySelectorAll('img')) {
    if (!image.complete || image.naturalWidth === 0) report('image', image, `${image.src} is not loaded`);
  }
  for (const failed of root.querySelectorAll<HTMLElement>('.chart[data-error]'))
    report('chart-drawn', failed, failed.dataset['error'] ?? '');
  const charts = [...root.querySelectorAll<SVGSVGElement>('.chart > svg')];
  for (const svg of charts) lookAtChart(svg, texts, report);
  const tables = [...root.querySelectorAll('table')];
  for (const table of tables) {
    if (!tablesScroll && table.scrollWidth > table.clientWidth + slack)
      report('table-scrolls', table, `${table.scrollWidth} px in ${table.clientWidth} px`);
  }
  return { problems, texts: texts.length, charts: charts.length, tables: tables.length };
}
