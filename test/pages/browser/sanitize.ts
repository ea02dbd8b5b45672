/* What GitHub lets through of the HTML in Markdown, as its documentation and its published filter (html-pipeline) have it. */

const elements = new Set(
  (
    'h1 h2 h3 h4 h5 h6 br b i strong em a pre code img tt div ins del sup sub p picture ol ul table thead tbody tfoot ' +
    'blockquote dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary details caption figure figcaption abbr ' +
    'bdo cite dfn mark small source span time wbr'
  ).split(' '),
);
/** These go with what is in them; of others only the tags go. */
const dropped = 'script, style, iframe, object, embed, noscript, template, svg, math, textarea, title';
const attributes = new Set(
  'abbr align alt border cellpadding cellspacing cite cols colspan datetime dir height href hspace open rows rowspan scope size span src start title type valign vspace width'.split(
    ' ',
  ),
);
const safeAddress = /^(?:https?:|mailto:|#|\/|[^:]*$)/i;

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
