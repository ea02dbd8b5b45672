/* What is behind a text: every layer from the page up, laid over each other. */

import { type Colour, faded, over, parseColour, white } from './colour.ts';

function compose(layers: Colour[], lowest: Colour): Colour {
  return layers.reduce((below, layer) => over(layer, below), lowest);
}

/** The colour behind an element's own content. */
export function htmlBackground(element: Element): Colour {
  const layers: Colour[] = [];
  for (let each: Element | null = element; each !== null; each = each.parentElement) {
    const { backgroundColor, backgroundImage, opacity } = getComputedStyle(each);
    if (backgroundImage !== 'none')
      throw new Error(`${each.localName} has a picture behind it; its text cannot be measured`);
    const colour = parseColour(backgroundColor);
    if (colour !== undefined) layers.unshift(faded(colour, Number(opacity)));
  }
  return compose(layers, white);
}

/** The fill of a shape at a point of the screen; undefined where it has none there. */
function fillAt(shape: Element, x: number, y: number): Colour | undefined {
  if (!(shape instanceof SVGGeometryElement)) return undefined;
  const toShape = shape.getScreenCTM()?.inverse();
  if (toShape === undefined || !shape.isPointInFill(new DOMPoint(x, y).matrixTransform(toShape)))
    return undefined;
  const { fill, fillOpacity } = getComputedStyle(shape);
  const colour = parseColour(fill);
  return colour === undefined ? undefined : faded(colour, Number(fillOpacity));
}

/** Opacity of an element and all it is in, up to the chart. */
function opacityWithin(svg: Element, element: Element): number {
  let opacity = 1;
  for (let each: Element | null = element; each !== null && each !== svg; each = each.parentElement)
    opacity *= Number(getComputedStyle(each).opacity);
  return opacity;
}

/** The colours behind a text of a chart, at its middle and near its ends; it has to be in view. */
export function chartBackgrounds(node: Text, parent: Element): Colour[] {
  const svg = parent.closest('.chart')?.querySelector('svg') ?? parent.closest('svg');
  if (svg === null) return [htmlBackground(parent)];
  const page = htmlBackground(svg);
  const range = document.createRange();
  range.selectNodeContents(node);
  const found: Colour[] = [];
  for (const rect of range.getClientRects()) {
    for (const [across, down] of [
      [0.5, 0.5],
      [0.05, 0.5],
      [0.95, 0.5],
      [0.5, 0.1],
      [0.5, 0.9],
    ] as const) {
      const x = rect.left + rect.width * across;
      const y = rect.top + rect.height * down;
      const stack = document.elementsFromPoint(x, y);
      const own = stack.findIndex((element) => element === parent || element.contains(parent));
      const layers: Colour[] = [];
      for (const element of stack.slice(Math.max(0, own))) {
        if (!svg.contains(element) || element === svg) continue;
        const isHtml = element instanceof HTMLElement;
        const colour = isHtml
          ? parseColour(getComputedStyle(element).backgroundColor)
          : fillAt(element, x, y);
        if (element.closest('text') !== null || colour === undefined) continue;
        layers.unshift(faded(colour, opacityWithin(svg, element)));
      }
      found.push(compose(layers, page));
    }
  }
  return found;
}
