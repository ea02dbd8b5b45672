/* What GitHub lets through of the HTML in Markdown, as its documentation and its published filter (html-pipeline) have it. */

const elements = new Set(
  [
    'h1 h2 h3 h4 h5 h6 p div blockquote pre hr br wbr',
    'ul ol li dl dt dd details summary figure figcaption',
    'table caption thead tbody tfoot tr th td',
    'a img picture source',
    'b strong i em s strike del ins mark small sub sup span code kbd samp tt var',
    'abbr bdo cite dfn q rp rt ruby time',
  ].flatMap((names) => names.split(' ')),
);
/** These go with what is in them; of others only the tags go. */
const dropped = 'script, style, iframe, object, embed, noscript, template, svg, math, textarea, title';
const attributes = new Set(
  [
    'href src alt title width height',
    'align valign colspan rowspan scope span border cellpadding cellspacing',
    'open start type dir cite datetime abbr',
  ].flatMap((names) => names.split(' ')),
);
const safeAddress = /^(?:https?:|mailto:|[^:]*$)/i;

/** Without scripts, styles and everything else that GitHub drops. */
export function sanitize(html: string): DocumentFragment {
  const parsed = new DOMParser().parseFromString(`<body>${html}`, 'text/html');
  for (const element of parsed.body.querySelectorAll(dropped)) element.remove();
  for (const element of [...parsed.body.querySelectorAll('*')].toReversed()) {
    if (!elements.has(element.localName)) {
      element.replaceWith(...element.childNodes);
      continue;
    }
    for (const { name, value } of [...element.attributes]) {
      const language = element.localName === 'code' && name === 'class' && /^language-[\w-]+$/.test(value);
      const address = name === 'href' || name === 'src';
      if (language || (attributes.has(name) && (!address || safeAddress.test(value.trim())))) continue;
      element.removeAttribute(name);
    }
  }
  const fragment = document.createDocumentFragment();
  fragment.append(...parsed.body.childNodes);
  return fragment;
}
