/* Elements, colours, words, and a canvas that scrolls over more than it holds. */

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;
let theme = {};

function make(parent, tag, properties, text) {
  const e = parent.appendChild(document.createElement(tag));
  Object.assign(e, properties);
  if (text !== undefined) e.textContent = text;
  return e;
}

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['ground', 'text', 'dim', 'line', 'cell', 'ink', 'on-ink', 'mark', 'marked'])
    theme[name] = style.getPropertyValue('--' + name).trim();
}

const font = size => size + 'px ' + getComputedStyle(document.body).fontFamily;
const shown = word => word.trim() === '' ? '\u2423' : word;

/* A word drawn in its own direction within `most` pixels. */
const cuts = new Map();
function cut(g, word, most) {
  const key = g.font + '\n' + most + '\n' + word;
  if (cuts.has(key)) return cuts.get(key);
  let text = shown(word);
  if (g.measureText(text).width > most) {
    const parts = Intl.Segmenter ? Array.from(new Intl.Segmenter().segment(text), s => s.segment) : Array.from(text);
    let low = 0, high = parts.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (g.measureText(parts.slice(0, middle).join('') + '\u2026').width <= most) low = middle;
      else high = middle - 1;
    }
    text = parts.slice(0, low).join('') + '\u2026';
  }
  if (cuts.size > 20000) cuts.clear();
  cuts.set(key, text);
  return text;
}

function drawWord(g, word, x, y, most, align) {
  g.direction = RIGHT_TO_LEFT.test(word) ? 'rtl' : 'ltr';
  g.textAlign = align;
  g.textBaseline = 'middle';
  g.fillText(cut(g, word, most), x, y);
}

function widest(g, words, most) {
  let width = 0;
  for (let i = 0; i < words.length && i < 400 && width < most; i++)
    width = Math.max(width, g.measureText(shown(words[i])).width);
  return Math.min(most, width);
}

function rgb(color) {
  const g = document.createElement('canvas').getContext('2d');
  g.fillStyle = color;
  g.fillRect(0, 0, 1, 1);
  return g.getImageData(0, 0, 1, 1).data;
}

/* A box that scrolls over `width` x `height` pixels with a canvas of the box's own size in it: only what is visible
   is drawn. A view has draw(), and at(x, y): the word that lies there, or null. */
class View {
  constructor(panel, parent, name) {
    this.panel = panel;
    this.root = make(parent, 'div', {className: 'view ' + name});
    this.names = make(this.root, 'p', {className: 'small columns'});
    this.box = make(this.root, 'div', {className: 'scroll'});
    this.space = make(this.box, 'div');
    this.canvas = make(this.space, 'canvas', {tabIndex: 0});
    const at = event => {
      const area = this.canvas.getBoundingClientRect();
      return this.at(event.clientX - area.left, event.clientY - area.top);
    };
    this.canvas.addEventListener('mousemove', event => state.pinned || look(panel, at(event)));
    this.canvas.addEventListener('mouseleave', () => state.pinned || look(panel, null));
    this.canvas.addEventListener('click', event => hold(panel, at(event), this));
    this.canvas.addEventListener('keydown', event => panel.key(event));
    this.box.addEventListener('scroll', () => this.draw());
    new ResizeObserver(() => {
      if (this.box.clientWidth !== this.w || this.box.clientHeight !== this.h) panel.draw();
    }).observe(this.box);
  }

  /* Scrolls as little as brings these pixels, and some around them, into sight. */
  bring(left, top, size) {
    const {box} = this, near = (at, from, room) => at < from + size || at > from + room - 3 * size;
    if (near(top, box.scrollTop, box.clientHeight)) box.scrollTop = top - box.clientHeight / 2;
    if (near(left, box.scrollLeft, box.clientWidth)) box.scrollLeft = left - box.clientWidth / 2;
  }

  /* An empty canvas over an area of this size: its context, size, dots a pixel, and how far it is scrolled. */
  begin(width, height) {
    this.space.style.width = width + 'px';
    this.space.style.height = height + 'px';
    const w = this.box.clientWidth, h = this.box.clientHeight, dots = window.devicePixelRatio || 1;
    const c = this.canvas;
    this.w = w;
    this.h = h;
    if (c.width !== Math.round(w * dots) || c.height !== Math.round(h * dots)) {
      c.width = Math.round(w * dots);
      c.height = Math.round(h * dots);
      c.style.width = w + 'px';
      c.style.height = h + 'px';
    }
    const g = c.getContext('2d');
    g.setTransform(dots, 0, 0, dots, 0, 0);
    g.globalAlpha = 1;
    g.fillStyle = theme.ground;
    g.fillRect(0, 0, w, h);
    return {g, w, h, dots, left: this.box.scrollLeft, top: this.box.scrollTop};
  }
}
