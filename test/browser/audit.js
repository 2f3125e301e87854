// @ts-nocheck: it runs in a browser, whose types the rest of the project must not see.
/** What a page does wrong for people with a small screen, weak eyes or a thumb: an empty list when nothing. */

/** WCAG 2.2 §1.4.3 and §1.4.11: text and placeholders need 4.5 to 1, the edges of fields 3 to 1. */
const TEXT_CONTRAST = 4.5
const EDGE_CONTRAST = 3
/** WCAG 2.2 §2.5.5, and what phone makers ask for. */
const TARGET_PIXELS = 44

function luminance(colour) {
  const [red, green, blue] = colour
    .match(/[\d.]+/g)
    .slice(0, 3)
    .map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function behind(element) {
  if (!element) return 'rgb(255, 255, 255)'
  const colour = getComputedStyle(element).backgroundColor
  return /, 0\)$/.test(colour) ? behind(element.parentElement) : colour
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

function tooFaint(element, what, colour, paper, least) {
  const found = contrast(colour, paper)
  return found < least ? [`${what} of ${element.id || element.textContent}: ${found.toFixed(2)} to 1`] : []
}

function audit() {
  const root = document.documentElement
  const wide = root.scrollWidth > root.clientWidth ? [`${root.scrollWidth} pixels wide`] : []
  const texts = [
    ...document.querySelectorAll('h1, h2, p, label, button, strong, a, input:not([type=hidden]), .step'),
  ]
  const fields = [...document.querySelectorAll('input:not([type=hidden])')]
  const targets = [...document.querySelectorAll('input:not([type=hidden]), button, a')]
  return [
    ...wide,
    ...texts.flatMap((text) =>
      tooFaint(text, 'text', getComputedStyle(text).color, behind(text), TEXT_CONTRAST),
    ),
    ...fields.flatMap((field) => [
      ...tooFaint(
        field,
        'placeholder',
        getComputedStyle(field, '::placeholder').color,
        behind(field),
        TEXT_CONTRAST,
      ),
      ...tooFaint(
        field,
        'edge',
        getComputedStyle(field).borderTopColor,
        behind(field.parentElement),
        EDGE_CONTRAST,
      ),
    ]),
    ...targets
      .filter((target) => target.getBoundingClientRect().height < TARGET_PIXELS)
      .map((target) => `${target.id || target.textContent} is small for a thumb`),
  ]
}

audit()
